"""Cells as a response over what they cost, the Pareto front joined."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from seedbed.analyze.figures.axes import axis_scale
from seedbed.analyze.figures.legend import LEGEND_ROW, NUM_TONES, legend_rows, tone_of
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
from seedbed.analyze.figures.points import MOST_RAW, MeanPoint, heights, thinned
from seedbed.analyze.findings.study import Findings
from seedbed.analyze.trials.observations import completed, label_text
from seedbed.analyze.trials.rows import rows_of


def cost_figure(findings: Findings) -> Figure:
    """Cells over their cost: the last factor with few levels as colours, the others as labels."""
    unit, cost = findings.primary.unit, findings.cost
    assert cost is not None
    done = findings.levelled[completed(findings.levelled)].dropna(subset=[unit.name, cost.name])
    few = [name for name in findings.factors if len(findings.factors[name]) <= NUM_TONES]
    toned = few[-1] if few and len(findings.factors) > 1 else None
    labelled = [name for name in findings.factors if name != toned]
    tones = list(findings.design.factors[toned].levels) if toned else []
    points = []
    for row in rows_of(findings.cells):
        here = done
        for name in findings.factors:
            here = here[here[name] == row[name]]
        words = [label_text(row[name]) for name in labelled]
        point = MeanPoint(
            row[cost.name],
            row[unit.name],
            raw=list(
                zip(here[cost.name].astype(float), here[unit.name].astype(float), strict=True)
            ),
            label=f"{labelled[0]} {words[0]}" if len(findings.factors) == 1 else ", ".join(words),
            on_front=bool(row["on_front"]),
            tone=tones.index(row[toned]) if toned else 0,
        )
        points.append(point)
    of_unit = f" ({unit.value_unit})" if unit.value_unit else ""
    return scatter(
        points,
        scale=axis_scale(findings),
        x_title=cost.label,
        y_title=f"{unit.label}{of_unit}",
        legend=[f"{toned} {label_text(level)}" for level in tones],
    )


def scatter(
    points: Sequence[MeanPoint],
    *,
    scale: float,
    x_title: str,
    y_title: str,
    legend: Sequence[str] = (),
) -> Figure:
    """Cells as a response over a cost, their raw seeds behind, the Pareto front joined.

    Points off the front are hollow; their `tone` is an index of `legend`.
    """
    top, height = 34 + LEGEND_ROW * len(legend), 280
    bottom = top + height
    costs = [cost for point in points for cost, _ in point.raw]
    x = Axis(*span_of([*costs, *(point.x for point in points)], 0.08), 0, 100)
    y = Axis(*span_of(heights(points), 0.12), bottom, top)
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
    return Figure(outer, bottom + 48, f"{y_title} over {x_title}")
