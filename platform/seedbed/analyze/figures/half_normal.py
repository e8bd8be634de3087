"""Absolute effects over half-normal quantiles: noise lies on a line. Daniel 1959."""

from __future__ import annotations

import math
from collections.abc import Sequence

from seedbed.analyze.figures.axes import axis_scale
from seedbed.analyze.figures.limits import Limit, lenth_limits
from seedbed.analyze.figures.marks import (
    Axis,
    Figure,
    circle,
    grid,
    line,
    panel,
    place_labels,
    span_of,
    text,
    x_axis,
)
from seedbed.analyze.findings.study import Findings
from seedbed.analyze.trials.rows import rows_of


def half_normal_figure(findings: Findings) -> Figure | None:
    table = findings.two_level
    if table is None:
        return None
    effects = [
        (str(term).replace(":", " × "), float(row["effect"]), float(row["half_normal_quantile"]))
        for term, row in zip(table.index, rows_of(table), strict=True)
    ]
    return half_normal(
        effects,
        scale=axis_scale(findings),
        x_title="Half-normal quantile",
        limits=[Limit(limit.at, f"Lenth's {limit.label}") for limit in lenth_limits(findings)[:1]],
        pse=table.attrs["PSE"],
    )


def half_normal(
    effects: Sequence[tuple[str, float, float]],
    *,
    scale: float,
    x_title: str,
    limits: Sequence[Limit] = (),
    pse: float = math.nan,
) -> Figure | None:
    """|effect| over half-normal quantiles; effects are (name, size, quantile).

    What is noise lies on a line through 0, drawn with the slope `pse` where it is known; effects
    beyond the lowest of `limits` are named. None for fewer than three effects.
    """
    known = [(name, abs(size), q) for name, size, q in effects if math.isfinite(size)]
    if len(known) < 3:
        return None
    marks = [limit for limit in limits if math.isfinite(limit.at)]
    top, height = 34, 280
    bottom = top + height
    sizes = [size for _, size, _ in known]
    reach = [q for _, _, q in known]
    y = Axis(*span_of([0.0, *sizes, *(limit.at for limit in marks)]), bottom, top)
    x = Axis(*span_of([0.0, *reach]), 0, 100)
    inner = [grid(y, scale), x_axis(x, bottom)]
    if math.isfinite(pse) and pse > 0:
        last = min(x.high, y.high / pse)
        inner.append(line(x(0), y(0), x(last), y(last * pse), "front"))
    for limit in marks:
        inner.append(line(0, y(limit.at), 100, y(limit.at), "zero"))
        inner.append(text("0", y(limit.at) - 5, limit.label, "axis"))
    named_from = min((limit.at for limit in marks), default=0.0)
    labels = [name if size >= named_from else "" for name, size, _ in known]
    spots = [(x(q), y(size), label) for (_, size, q), label in zip(known, labels, strict=True)]
    for (at, _, label), (left, down, anchor) in zip(spots, place_labels(spots), strict=True):
        if label:
            inner.append(text(f"{at:g}%", down, label, f"label {anchor}", left))
    inner += [circle(at, down, 4.5, "mean s1" if label else "off s1") for at, down, label in spots]
    inner.append(text("50%", bottom + 40, x_title, "axis middle"))
    outer = text("0", 14, "Absolute effect", "axis") + panel("".join(inner))
    return Figure(outer, bottom + 48, "Absolute effects over half-normal quantiles")
