"""Means at the levels of a factor, a line per level of another."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from seedbed.analyze.figures.axes import axis_scale
from seedbed.analyze.figures.legend import LEGEND_ROW, legend_rows, tone_of
from seedbed.analyze.figures.marks import (
    Axis,
    Figure,
    circle,
    grid,
    line,
    panel,
    span_of,
    text,
)
from seedbed.analyze.figures.points import MOST_RAW, MeanPoint, heights, thinned
from seedbed.analyze.findings.study import Findings
from seedbed.analyze.stats.chosen_error import block_of
from seedbed.analyze.stats.means import marginal_means
from seedbed.analyze.trials.observations import AnalysisError, completed, label_text
from seedbed.analyze.trials.rows import rows_of


@dataclass(frozen=True)
class Line:
    """Points joined in one colour."""

    label: str
    points: Sequence[MeanPoint]


def means_figure(findings: Findings, factor: str, by: str | None = None) -> Figure | None:
    """Cell means of one factor in the design's order of levels, a line per level of `by`."""
    unit = findings.primary.unit
    order = list(findings.design.factors[factor].levels)
    at, block = [factor, by] if by else [factor], block_of(findings.design)
    try:
        table = marginal_means(
            findings.trials, unit.name, list(findings.factors), at,
            block=block, order=findings.design.order, error=findings.primary.error,
            seeds="random" if block else "fixed",
        )  # fmt: skip
    except AnalysisError:
        return None
    done = findings.levelled[completed(findings.levelled)]
    lines = []
    for value in list(findings.design.factors[by].levels) if by else [None]:
        points = []
        for row in rows_of(table):
            if by and row["level"][1] != value:
                continue
            place = order.index(row["level"][0])
            here = done[done[factor] == row["level"][0]]
            here = here[here[by] == value] if by else here
            seeds = [(float(place), float(y)) for y in here[unit.name].dropna()]
            points.append(MeanPoint(place, row["mean"], row["ci_low"], row["ci_high"], seeds))
        points.sort(key=lambda point: point.x)
        lines.append(Line(f"{by} {label_text(value)}" if by else "", points))
    of_unit = f" ({unit.value_unit})" if unit.value_unit else ""
    return levels(
        lines,
        [label_text(level) for level in order],
        scale=axis_scale(findings),
        x_title=factor,
        y_title=f"{unit.label}{of_unit}",
    )


def levels(
    lines: Sequence[Line],
    names: Sequence[str],
    *,
    scale: float,
    x_title: str,
    y_title: str,
    marked: Sequence[float] = (),
) -> Figure:
    """Means at the levels of one factor, a line per level of another, with the raw seeds, and a
    rule at each value that is `marked`."""
    num_legend = len(lines) if len(lines) > 1 else 0
    top, height = 34 + LEGEND_ROW * num_legend, 240
    bottom = top + height
    shown = heights([p for drawn in lines for p in drawn.points])
    y = Axis(*span_of([*shown, *marked]), bottom, top)
    x = Axis(-0.5, len(names) - 0.5, 0, 100)
    inner = [grid(y, scale), line(0, bottom, 100, bottom, "rule")]
    inner += [line(0, y(value), 100, y(value), "rule") for value in marked]
    for place, name in enumerate(names):
        inner.append(text(f"{x(place):g}%", bottom + 19, name, "axis middle"))
    for number, drawn in enumerate(lines):
        shift = 0.12 * (number - (len(lines) - 1) / 2) if num_legend else 0.0
        most = MOST_RAW // sum(len(one.points) for one in lines)
        inner.append(_line_of_points(drawn, x, y, shift, tone_of(number), most))
    inner.append(text("50%", bottom + 40, x_title, "axis middle"))
    outer = text("0", 14, y_title, "axis") + legend_rows(
        [drawn.label for drawn in lines[:num_legend]]
    )
    return Figure(outer + panel("".join(inner)), bottom + 48, f"{y_title} by {x_title}")


def _line_of_points(drawn: Line, x: Axis, y: Axis, shift: float, tone: str, most: int) -> str:
    known = [point for point in drawn.points if not math.isnan(point.mean)]
    parts = []
    for a, b in itertools.pairwise(known):
        parts.append(line(x(a.x + shift), y(a.mean), x(b.x + shift), y(b.mean), f"path {tone}"))
    for point in known:
        place = x(point.x + shift)
        # Seeds stand beside the interval, not under it.
        parts += [
            circle(x(seed + shift - 0.07), y(value), 3, f"seed {tone}")
            for seed, value in thinned(sorted(point.raw), most)
        ]
        if not math.isnan(point.low):
            parts.append(line(place, y(point.low), place, y(point.high), f"interval {tone}"))
        parts.append(circle(place, y(point.mean), 4.5, f"mean {tone}"))
    return "".join(parts)
