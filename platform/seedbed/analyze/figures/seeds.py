"""Half of an interval over the number of seeds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from seedbed.analyze.figures.axes import axis_scale, in_unit
from seedbed.analyze.figures.legend import LEGEND_ROW, NUM_TONES, legend_rows, tone_of
from seedbed.analyze.figures.limits import Limit
from seedbed.analyze.figures.marks import (
    Axis,
    Figure,
    circle,
    grid,
    line,
    panel,
    text,
)
from seedbed.analyze.findings.study import Findings
from seedbed.analyze.trials.rows import rows_of


def seeds_figure(findings: Findings) -> Figure | None:
    if findings.outlook is None:
        return None
    curves = []
    for effect, own in findings.outlook.table.groupby("effect", sort=False):
        points = [
            (int(row["num_seeds"]), float(row["half_width"]))
            for row in rows_of(own)
            if not math.isnan(row["half_width"])
        ]
        curves.append((str(effect).replace(":", " × "), points))
    # The least certain effects: what they need, the others have.
    curves.sort(key=lambda curve: -curve[1][0][1] if curve[1] else 0.0)
    unit = findings.primary.unit
    margins = {
        abs(one.margin)
        for judged in findings.claims
        for one in judged.contrasts
        # A margin that was stated about another scale measures nothing here.
        if one.margin and judged.response == unit.name and judged.verdict is not None
    }
    limits = [
        Limit(margin, f"margin {unit.difference(margin).lstrip('+')}") for margin in sorted(margins)
    ]
    return seeds_needed(
        curves,
        present=findings.outlook.num_seeds,
        scale=axis_scale(findings),
        y_title=in_unit(findings, "Half of a 95 % interval"),
        limits=limits,
        repeats="Seeds" if findings.design.paired else "Runs",
    )


def seeds_needed(
    curves: Sequence[tuple[str, Sequence[tuple[int, float]]]],
    *,
    present: int,
    scale: float,
    y_title: str,
    limits: Sequence[Limit] = (),
    repeats: str = "Seeds",
) -> Figure | None:
    """Half an interval over the number of seeds, a line an effect: curves are (name, points).

    At most NUM_TONES of them. None where no curve has two points.
    """
    shown = [(name, list(points)) for name, points in curves if len(points) > 1][:NUM_TONES]
    if not shown:
        return None
    marks = [limit for limit in limits if math.isfinite(limit.at)]
    top, height = 34 + LEGEND_ROW * len(shown), 240
    bottom = top + height
    heights = [value for _, points in shown for _, value in points]
    y = Axis(0.0, max([*heights, *(limit.at for limit in marks)]) * 1.08, bottom, top)
    seeds = [seed for _, points in shown for seed, _ in points]
    x = Axis(min(seeds) - 0.4, max(seeds) + 0.4, 0, 100)
    inner = [grid(y, scale), line(0, bottom, 100, bottom, "rule")]
    every = sorted(set(seeds))[:: 1 + len(set(seeds)) // 12]
    inner += [text(f"{x(seed):g}%", bottom + 19, str(seed), "axis middle") for seed in every]
    inner.append(line(x(present), top, x(present), bottom, "zero"))
    inner.append(text(f"{x(present):g}%", top + 10, "now", "axis", 6))
    for limit in marks:
        inner.append(line(0, y(limit.at), 100, y(limit.at), "front"))
        inner.append(text("100%", y(limit.at) - 6, limit.label, "axis end"))
    for n, (_, points) in enumerate(shown):
        tone = tone_of(n)
        for (a, at_a), (b, at_b) in itertools.pairwise(points):
            inner.append(line(x(a), y(at_a), x(b), y(at_b), f"path {tone}"))
        inner += [circle(x(seed), y(value), 3.5, f"mean {tone}") for seed, value in points]
    inner.append(text("50%", bottom + 40, f"{repeats} of every cell", "axis middle"))
    names = legend_rows([name for name, _ in shown])
    outer = text("0", 14, y_title, "axis") + names + panel("".join(inner))
    return Figure(outer, bottom + 48, f"{y_title} by number of {repeats.lower()}")
