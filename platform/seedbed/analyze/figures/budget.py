"""Effects against the budget, with what their trend says of the next one."""

from __future__ import annotations

import math

from seedbed.analyze.figures.axes import axis_scale, in_unit
from seedbed.analyze.figures.marks import Figure
from seedbed.analyze.figures.means import Line, levels
from seedbed.analyze.figures.points import MeanPoint
from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import count_words
from seedbed.analyze.trials.observations import label_text


def budget_figure(findings: Findings, factor: str) -> Figure | None:
    """A line for each level of `factor` less its baseline over the budgets, the last point being
    what the trend says of the next; None where budgets are no factor, or too many lines meet."""
    found = findings.budget
    if found is None or factor == found.name:
        return None
    lines = []
    for effect in found.effects:
        if effect.term != factor:
            continue
        points = [
            MeanPoint(place, one.estimate, one.conf_low, one.conf_high)
            for place, one in enumerate((*effect.at, effect.ahead))
            if not math.isnan(one.estimate)
        ]
        lines.append(Line(label_text(effect.level), points))
    if not lines:
        return None
    names = [count_words(number) for number in (*found.numbers, found.ahead)]
    names[-1] += ", by the trend"
    unit, base = findings.primary.unit, label_text(findings.baselines[factor])
    return levels(
        lines,
        names,
        scale=axis_scale(findings),
        x_title="samples seen",
        y_title=in_unit(findings, f"{unit.label}: {factor} less {base}"),
        marked=(0.0,),
    )
