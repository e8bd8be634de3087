"""Differences from a baseline: each level with its interval and the raw seed differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from seedbed.analyze.figures.axes import axis_scale
from seedbed.analyze.figures.marks import (
    Axis,
    Figure,
    circle,
    line,
    span_of,
    text,
    x_axis,
)
from seedbed.analyze.figures.points import MOST_RAW, thinned
from seedbed.analyze.findings.study import Findings
from seedbed.analyze.stats.comparison import of_term
from seedbed.analyze.trials.observations import completed, label_text


@dataclass(frozen=True)
class Difference:
    """One row of a forest: a label, its interval (NaN for none), the raw seed differences."""

    label: str
    text: str
    mean: float
    low: float
    high: float
    raw: Sequence[float]


def contrast_figure(findings: Findings, factor: str) -> Figure:
    unit = findings.primary.unit
    rows = []
    for one in of_term(findings.primary.contrasts, factor):
        words = unit.difference(one.estimate)
        if one.has_interval:
            words += f"  [{unit.interval(one.conf_low, one.conf_high)}]"
        rows.append(
            Difference(
                label=f"{factor} {one.label}",
                text=words,
                mean=one.estimate,
                low=one.conf_low,
                high=one.conf_high,
                raw=seed_differences(findings, factor, one.level) if findings.num_seeds > 1 else [],
            )
        )
    base = f"{factor} {label_text(findings.baselines[factor])}"
    of_unit = f" ({unit.difference_unit})" if unit.difference_unit else ""
    return forest(rows, scale=axis_scale(findings), title=f"Difference from {base}{of_unit}")


def seed_differences(findings: Findings, factor: str, level: object) -> list[float]:
    """The response at `level` minus at the baseline, wherever the rest of the cell and the seed
    completed both: the raw pairs behind a contrast."""
    done = findings.trials[completed(findings.trials)].dropna(subset=[findings.primary.unit.name])
    others = [name for name in findings.factors if name != factor]
    values = done.set_index([*others, "seed"])[[factor, findings.primary.unit.name]]
    of_level = values.loc[values[factor] == level, findings.primary.unit.name]
    of_base = values.loc[values[factor] == findings.baselines[factor], findings.primary.unit.name]
    return [float(value) for value in (of_level - of_base).dropna()]


def forest(rows: Sequence[Difference], *, scale: float, title: str) -> Figure:
    """Differences from a baseline: raw seed differences as dots, the mean on its interval."""
    row_height, top = 56, 6
    bottom = top + row_height * len(rows)
    values = [value for row in rows for value in (row.mean, row.low, row.high, *row.raw)]
    x = Axis(*span_of([0.0, *values]), 2, 98)
    parts = [x_axis(x, bottom, scale)]
    for i, row in enumerate(rows):
        y = top + row_height * i + 32
        parts.append(text("0", y - 16, row.label, "label"))
        parts.append(text("100%", y - 16, row.text, "label end"))
        parts.append(line(x(0), y - 9, x(0), y + 18, "zero"))
        # Under the interval, where they stay visible.
        drawn = thinned(sorted(row.raw), MOST_RAW // len(rows))
        parts += [circle(x(value), y + 10, 3, "seed s1") for value in drawn]
        if not math.isnan(row.low):
            parts.append(line(x(row.low), y, x(row.high), y, "interval s1"))
        if not math.isnan(row.mean):
            parts.append(circle(x(row.mean), y, 5, "mean s1"))
    parts.append(text("50%", bottom + 40, title, "axis middle"))
    return Figure("".join(parts), bottom + 48, title)
