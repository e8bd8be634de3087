"""The report's figures: differences from a baseline, means at levels, a response over its cost."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from seedbed.analyze.figures.marks import (
    Scale,
    circle,
    figure,
    grid,
    line,
    panel,
    place_labels,
    span_of,
    text,
    x_axis,
)

T = TypeVar("T")

NUM_TONES = 4
MOST_RAW = 2_000  # dots of single seeds in a figure: more are a blot, and a page that opens slowly
LEGEND_ROW = 20  # pixels


@dataclass(frozen=True)
class Difference:
    """One row of a forest: a label, its interval (NaN for none), the raw seed differences."""

    label: str
    text: str
    mean: float
    low: float
    high: float
    raw: Sequence[float]


@dataclass(frozen=True)
class Point:
    """A mean with its interval (NaN for none); `raw` holds the seeds as (x, value)."""

    x: float
    mean: float
    low: float = math.nan
    high: float = math.nan
    raw: Sequence[tuple[float, float]] = ()
    label: str = ""
    on_front: bool = False
    tone: int = 0


@dataclass(frozen=True)
class Line:
    """Points joined in one colour."""

    label: str
    points: Sequence[Point]


def forest(rows: Sequence[Difference], *, scale: float, title: str) -> str:
    """Differences from a baseline: raw seed differences as dots, the mean on its interval."""
    row_height, top = 56, 6
    bottom = top + row_height * len(rows)
    values = [value for row in rows for value in (row.mean, row.low, row.high, *row.raw)]
    x = Scale(*span_of([0.0, *values]), 2, 98)
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
    return figure("".join(parts), bottom + 48, title)


def levels(
    lines: Sequence[Line], names: Sequence[str], *, scale: float, x_title: str, y_title: str
) -> str:
    """Means at the levels of one factor, a line per level of another, with the raw seeds."""
    num_legend = len(lines) if len(lines) > 1 else 0
    top, height = 34 + LEGEND_ROW * num_legend, 240
    bottom = top + height
    y = Scale(*span_of(_heights([p for drawn in lines for p in drawn.points])), bottom, top)
    x = Scale(-0.5, len(names) - 0.5, 0, 100)
    inner = [grid(y, scale), line(0, bottom, 100, bottom, "rule")]
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
    return figure(outer + panel("".join(inner)), bottom + 48, f"{y_title} by {x_title}")


def _line_of_points(drawn: Line, x: Scale, y: Scale, shift: float, tone: str, most: int) -> str:
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


def scatter(
    points: Sequence[Point],
    *,
    scale: float,
    x_title: str,
    y_title: str,
    legend: Sequence[str] = (),
) -> str:
    """Cells as a response over a cost, their raw seeds behind, the Pareto front joined.

    Points off the front are hollow; their `tone` is an index of `legend`.
    """
    top, height = 34 + LEGEND_ROW * len(legend), 280
    bottom = top + height
    costs = [cost for point in points for cost, _ in point.raw]
    x = Scale(*span_of([*costs, *(point.x for point in points)], 0.08), 0, 100)
    y = Scale(*span_of(_heights(points), 0.12), bottom, top)
    inner = [grid(y, scale), x_axis(x, bottom)]
    front = sorted((p for p in points if p.on_front), key=lambda point: (point.x, point.mean))
    for a, b in itertools.pairwise(front):
        inner.append(line(x(a.x), y(a.mean), x(b.x), y(b.mean), "front"))
    for point in points:
        raw = thinned(sorted(point.raw, key=lambda pair: pair[1]), MOST_RAW // len(points))
        inner += [circle(x(at), y(v), 3, f"seed {tone_of(point.tone)}") for at, v in raw]
    places = place_labels([(x(p.x), y(p.mean), p.label) for p in points])
    for point, (left, down, anchor) in zip(points, places, strict=True):
        inner.append(text(f"{x(point.x):g}%", down, point.label, f"label {anchor}", left))
    # Points over labels: a label's paper-coloured rim must hide no point.
    for point in points:
        kind = "mean" if point.on_front else "off"
        inner.append(circle(x(point.x), y(point.mean), 6, f"{kind} {tone_of(point.tone)}"))
    inner.append(text("50%", bottom + 40, x_title, "axis middle"))
    outer = text("0", 14, y_title, "axis") + legend_rows(legend) + panel("".join(inner))
    return figure(outer, bottom + 48, f"{y_title} over {x_title}")


def thinned(values: Sequence[T], most: int) -> list[T]:
    """At most `most` (2 or more) of sorted `values`, evenly in their order, both ends included."""
    most = max(2, most)
    if len(values) <= most:
        return list(values)
    return [values[round(i * (len(values) - 1) / (most - 1))] for i in range(most)]


def legend_rows(labels: Sequence[str]) -> str:
    """A row for each label in its colour, above the panel."""
    parts = []
    for number, label in enumerate(labels):
        y = 36 + LEGEND_ROW * number
        parts.append(f'<circle class="mean {tone_of(number)}" cx="6" cy="{y - 4}" r="5"/>')
        parts.append(text("20", y, label, "axis"))
    return "".join(parts)


def tone_of(number: int) -> str:
    return f"s{number % NUM_TONES + 1}"


def _heights(points: Sequence[Point]) -> list[float]:
    raw = [value for point in points for _, value in point.raw]
    return raw + [value for point in points for value in (point.mean, point.low, point.high)]
