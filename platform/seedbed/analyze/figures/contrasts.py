"""Differences from a baseline: each level with its interval and the raw seed differences."""

from __future__ import annotations

import itertools
import math

from seedbed.analyze.figures.axes import axis_scale
from seedbed.analyze.figures.marks import Axis, Figure, circle, line, span_of, text, x_axis
from seedbed.analyze.figures.points import MOST_RAW, thinned
from seedbed.analyze.findings.study import Findings
from seedbed.analyze.stats.comparison import of_term
from seedbed.analyze.trials.observations import completed, label_text


def contrast_figure(findings: Findings, factor: str) -> Figure:
    """Each level on its interval, the raw seed differences beside it as dots."""
    unit, contrasts = findings.primary.unit, of_term(findings.primary.contrasts, factor)
    raw: dict[object, list[float]] = {one.level: [] for one in contrasts}
    if findings.num_seeds > 1 and findings.design.paired:
        raw = {level: seed_differences(findings, factor, level) for level in raw}
    row_height, top = 56, 6
    bottom = top + row_height * len(contrasts)
    values = [v for one in contrasts for v in (one.estimate, one.conf_low, one.conf_high)]
    x = Axis(*span_of([0.0, *values, *itertools.chain(*raw.values())]), 2, 98)
    parts = [x_axis(x, bottom, axis_scale(findings))]
    for i, one in enumerate(contrasts):
        y = top + row_height * i + 32
        size = unit.difference(one.estimate)
        if one.has_interval:
            size += f"  [{unit.interval(one.conf_low, one.conf_high)}]"
        parts.append(text("0", y - 16, f"{one.factor} {one.label}", "label"))
        parts.append(text("100%", y - 16, size, "label end"))
        parts.append(line(x(0), y - 9, x(0), y + 18, "zero"))
        # Under the interval, where they stay visible.
        drawn = thinned(sorted(raw[one.level]), MOST_RAW // len(contrasts))
        parts += [circle(x(value), y + 10, 3, "seed s1") for value in drawn]
        if one.has_interval:
            parts.append(line(x(one.conf_low), y, x(one.conf_high), y, "interval s1"))
        if not math.isnan(one.estimate):
            parts.append(circle(x(one.estimate), y, 5, "mean s1"))
    base = f"{factor} {label_text(findings.baselines[factor])}"
    of_unit = f" ({unit.difference_unit})" if unit.difference_unit else ""
    title = f"Difference from {base}{of_unit}"
    parts.append(text("50%", bottom + 40, title, "axis middle"))
    return Figure("".join(parts), bottom + 48, title)


def seed_differences(findings: Findings, factor: str, level: object) -> list[float]:
    """The response at `level` minus at the baseline, wherever the rest of the cell and the seed
    completed both: the raw pairs behind a contrast."""
    done = findings.levelled[completed(findings.levelled)]
    done = done.dropna(subset=[findings.primary.unit.name])
    others = [name for name in findings.factors if name != factor]
    values = done.set_index([*others, "seed"])[[factor, findings.primary.unit.name]]
    of_level = values.loc[values[factor] == level, findings.primary.unit.name]
    of_base = values.loc[values[factor] == findings.baselines[factor], findings.primary.unit.name]
    return [float(value) for value in (of_level - of_base).dropna()]
