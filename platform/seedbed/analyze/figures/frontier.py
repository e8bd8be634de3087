"""The smallest effect that a design detects over what it costs, by designs and numbers of seeds."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from seedbed.analyze.figures.legend import LEGEND_ROW, legend_rows, tone_of
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

_HEIGHT = 300  # pixels of the panel
_LABELLED = 6  # percent of the panel at least between a number of seeds and the next one's
_THOUSANDS = 10_000  # of a cost from which on it is told in thousands


@dataclass(frozen=True)
class Point:
    """A design at some seeds: what it costs, and the smallest effect that it detects."""

    num_seeds: int
    cost: float
    effect: float


@dataclass(frozen=True)
class Frontier:
    """One design over its seeds, `num_cells` a seed."""

    label: str
    points: Sequence[Point]


def frontier_figure(
    curves: Sequence[Frontier],
    *,
    present: tuple[int, int],
    x_title: str,
    y_title: str,
    wanted: float,
    scale: float = 1.0,
) -> Figure:
    """A line for each design, seeds as its points; `present` is the curve and the seeds that are
    planned, `wanted` an effect that a rule stands at, all effects shown times `scale`."""
    top = 34 + LEGEND_ROW * len(curves)
    bottom = top + _HEIGHT
    points = [point for curve in curves for point in curve.points]
    x = Axis(0.0, span_of([point.cost for point in points], 0.04)[1], 0, 100)
    y = Axis(0.0, span_of([wanted, *(p.effect for p in points)], 0.06)[1], bottom, top)
    shrink, unit = (1e-3, " (thousands)") if x.high >= _THOUSANDS else (1.0, "")
    inner = [grid(y, scale), x_axis(x, bottom, shrink)]
    inner.append(line(0, y(wanted), 100, y(wanted), "zero"))
    inner.append(text("100%", y(wanted) - 5, f"{wanted * scale:g}", "axis end"))
    for number, curve in enumerate(curves):
        tone = tone_of(number)
        for a, b in itertools.pairwise(curve.points):
            inner.append(line(x(a.cost), y(a.effect), x(b.cost), y(b.effect), f"path {tone}"))
    inner += _labels(curves, present, x, y) + _dots(curves, present, x, y)
    inner.append(text("50%", bottom + 40, f"{x_title}{unit}", "axis middle"))
    legend = legend_rows([curve.label for curve in curves])
    outer = text("0", 14, y_title, "axis") + legend + panel("".join(inner))
    return Figure(outer, bottom + 48, f"{y_title} over {x_title}")


def _dots(curves: Sequence[Frontier], present: tuple[int, int], x: Axis, y: Axis) -> list[str]:
    """Every number of seeds, the planned one full."""
    parts = []
    for number, curve in enumerate(curves):
        for point in curve.points:
            planned = (number, point.num_seeds) == present
            kind, radius = ("mean", 6) if planned else ("off", 4)
            at = x(point.cost), y(point.effect)
            parts.append(circle(*at, radius, f"{kind} {tone_of(number)}"))
    return parts


def _labels(curves: Sequence[Frontier], present: tuple[int, int], x: Axis, y: Axis) -> list[str]:
    """Numbers of seeds beside the points that have room for one, the planned one in words."""
    placed = []
    for number, curve in enumerate(curves):
        last = -2.0 * _LABELLED
        for point in curve.points:
            planned = (number, point.num_seeds) == present
            across = x(point.cost)
            if planned or across - last >= _LABELLED:
                words = f"{point.num_seeds} seeds" if planned else str(point.num_seeds)
                placed.append((across, y(point.effect), words))
                last = across
    return [
        text(f"{across:g}%", down, words, f"label {anchor}", left)
        for (across, _, words), (left, down, anchor) in zip(
            placed, place_labels(placed), strict=True
        )
    ]
