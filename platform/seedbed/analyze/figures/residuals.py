"""Residuals over fitted values, and over the quantiles they would have if normal."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from seedbed.analyze.figures.axes import axis_scale
from seedbed.analyze.figures.marks import (
    Axis,
    Figure,
    circle,
    grid,
    line,
    panel,
    span_of,
    text,
    x_axis,
)
from seedbed.analyze.figures.points import MOST_RAW, thinned
from seedbed.analyze.findings.study import Findings


def residuals_figure(findings: Findings) -> Figure | None:
    diagnostics = findings.primary.diagnostics
    if diagnostics is None:
        return None
    table = diagnostics.trials
    values = findings.trials.loc[table.index, findings.primary.unit.name].astype(float)
    return residuals(
        [float(v) for v in np.asarray(values - table["residual"], dtype=float)],
        [float(v) for v in table["residual"]],
        [float(v) for v in table["studentised"]],
        scale=axis_scale(findings),
        unit=findings.primary.unit.difference_unit,
    )


def residuals(
    fitted: Sequence[float], residual: Sequence[float], studentised: Sequence[float], *,
    scale: float, unit: str = "",
) -> Figure | None:  # fmt: skip
    """Residuals over fitted values, and below them the studentised ones over normal quantiles.

    None where none is known. Of more than MOST_RAW trials every so many-eth in order of size is
    drawn, the extremes among them.
    """
    pairs = [(f, r) for f, r in zip(fitted, residual, strict=True) if math.isfinite(f + r)]
    if not pairs:
        return None
    of_unit = f" ({unit})" if unit else ""
    top, height = 34, 190
    bottom = top + height
    drawn = thinned(sorted(pairs, key=lambda pair: pair[1]), MOST_RAW)
    y = Axis(*span_of([0.0, *(r for _, r in pairs)]), bottom, top)
    x = Axis(*span_of([f for f, _ in pairs]), 0, 100)
    upper = [grid(y, scale), x_axis(x, bottom, scale), line(0, y(0), 100, y(0), "zero")]
    upper += [circle(x(f), y(r), 3, "seed s1") for f, r in drawn]
    upper.append(text("50%", bottom + 40, f"Fitted value{of_unit}", "axis middle"))
    outer = text("0", 14, f"Residual{of_unit}", "axis") + panel("".join(upper))
    end: float = bottom + 48
    sizes = sorted(value for value in studentised if math.isfinite(value))
    if len(sizes) > 2:
        start = end + 26
        lower, end = _normal_plot(sizes, start)
        outer += text("0", start + 14, "Studentised residual", "axis") + panel(lower)
    words = "Residuals over fitted values and over normal quantiles"
    if len(drawn) < len(pairs):
        note = f"{len(drawn):,} of {len(pairs):,} trials are drawn, the extremes among them"
        outer += text("0", end + 14, note, "axis")
        end += 22
    return Figure(outer, end, words)


def _normal_plot(sizes: Sequence[float], start: float) -> tuple[str, float]:
    """Sorted values over the quantiles they would have; the pieces and where they end."""
    top = start + 34
    bottom = top + 190
    # Blom's plotting positions.
    ranks = (np.arange(1, len(sizes) + 1) - 0.375) / (len(sizes) + 0.25)
    quantiles = [float(q) for q in stats.norm.ppf(ranks)]
    x = Axis(*span_of(quantiles), 0, 100)
    y = Axis(*span_of([*sizes, quantiles[0], quantiles[-1]]), bottom, top)
    low, high = max(x.low, y.low), min(x.high, y.high)
    inner = [grid(y, 1.0), x_axis(x, bottom), line(x(low), y(low), x(high), y(high), "front")]
    dots = thinned(list(zip(quantiles, sizes, strict=True)), MOST_RAW)
    inner += [circle(x(q), y(value), 3, "seed s1") for q, value in dots]
    inner.append(text("50%", bottom + 40, "Normal quantile", "axis middle"))
    return "".join(inner), bottom + 48
