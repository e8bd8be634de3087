"""Figures of the model: effects by size, half-normal plot, residuals, precision over seeds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from seedbed.analyze.figures.contrasts import (
    LEGEND_ROW,
    MOST_RAW,
    NUM_TONES,
    legend_rows,
    thinned,
    tone_of,
)
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

MOST_BARS = 15


@dataclass(frozen=True)
class Bar:
    """An effect: its name, its size with sign, and the number as written."""

    label: str
    text: str
    size: float


@dataclass(frozen=True)
class Limit:
    """A value that a figure marks with a line, and its name."""

    at: float
    label: str


def effect_pareto(
    bars: Sequence[Bar], *, scale: float, title: str, limits: Sequence[Limit] = ()
) -> str:
    """Effects by their absolute size, the largest first; `limits` are drawn across.

    Of more than MOST_BARS the largest are shown. "" where no size is known.
    """
    known = sorted((b for b in bars if math.isfinite(b.size)), key=lambda bar: -abs(bar.size))
    if not known:
        return ""
    shown = known[:MOST_BARS]
    marks = [limit for limit in limits if math.isfinite(limit.at)]
    row, top = 38, 8 + 18 * len(marks)
    bottom = top + row * len(shown)
    widest = max([abs(shown[0].size), *(limit.at for limit in marks)]) or 1.0
    x = Scale(0, widest * 1.04, 0, 100)
    parts = [x_axis(x, bottom, scale)]
    for n, limit in enumerate(marks):
        parts.append(line(x(limit.at), top, x(limit.at), bottom, "zero"))
        anchor = "end" if x(limit.at) > 50 else ""
        aside = -6 if anchor else 6
        down = 14 + 18 * n  # each name on a line of its own: limits may lie close together
        parts.append(line(x(limit.at), down - 8, x(limit.at), top, "zero"))
        parts.append(text(f"{x(limit.at):g}%", down, limit.label, f"axis {anchor}".strip(), aside))
    for n, bar in enumerate(shown):
        y = top + row * n
        parts.append(text("0", y + 14, bar.label, "label"))
        parts.append(text("100%", y + 14, bar.text, "label end"))
        tone = "s1" if bar.size >= 0 else "s2"
        parts.append(line(0, y + 25, x(abs(bar.size)), y + 25, f"bar {tone}"))
    words = (
        title if len(shown) == len(known) else f"{title}: the {len(shown)} largest of {len(known)}"
    )
    parts.append(text("50%", bottom + 40, words, "axis middle"))
    return figure("".join(parts), bottom + 48, words)


def half_normal(
    effects: Sequence[tuple[str, float, float]],
    *,
    scale: float,
    x_title: str,
    limits: Sequence[Limit] = (),
    pse: float = math.nan,
) -> str:
    """|effect| over half-normal quantiles; effects are (name, size, quantile).

    What is noise lies on a line through 0, drawn with the slope `pse` where it is known; effects
    beyond the lowest of `limits` are named. "" for fewer than three effects.
    """
    known = [(name, abs(size), q) for name, size, q in effects if math.isfinite(size)]
    if len(known) < 3:
        return ""
    marks = [limit for limit in limits if math.isfinite(limit.at)]
    top, height = 34, 280
    bottom = top + height
    sizes = [size for _, size, _ in known]
    reach = [q for _, _, q in known]
    y = Scale(*span_of([0.0, *sizes, *(limit.at for limit in marks)]), bottom, top)
    x = Scale(*span_of([0.0, *reach]), 0, 100)
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
    return figure(outer, bottom + 48, "Absolute effects over half-normal quantiles")


def residuals(
    fitted: Sequence[float], residual: Sequence[float], studentised: Sequence[float], *,
    scale: float, unit: str = "",
) -> str:  # fmt: skip
    """Residuals over fitted values, and below them the studentised ones over normal quantiles.

    "" where none is known. Of more than MOST_RAW trials every so many-eth in order of size is
    drawn, the extremes among them.
    """
    pairs = [(f, r) for f, r in zip(fitted, residual, strict=True) if math.isfinite(f + r)]
    if not pairs:
        return ""
    of_unit = f" ({unit})" if unit else ""
    top, height = 34, 190
    bottom = top + height
    drawn = thinned(sorted(pairs, key=lambda pair: pair[1]), MOST_RAW)
    y = Scale(*span_of([0.0, *(r for _, r in pairs)]), bottom, top)
    x = Scale(*span_of([f for f, _ in pairs]), 0, 100)
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
    return figure(outer, end, words)


def _normal_plot(sizes: Sequence[float], start: float) -> tuple[str, float]:
    """Sorted values over the quantiles they would have; the pieces and where they end."""
    top = start + 34
    bottom = top + 190
    # Blom's plotting positions.
    ranks = (np.arange(1, len(sizes) + 1) - 0.375) / (len(sizes) + 0.25)
    quantiles = [float(q) for q in stats.norm.ppf(ranks)]
    x = Scale(*span_of(quantiles), 0, 100)
    y = Scale(*span_of([*sizes, quantiles[0], quantiles[-1]]), bottom, top)
    low, high = max(x.low, y.low), min(x.high, y.high)
    inner = [grid(y, 1.0), x_axis(x, bottom), line(x(low), y(low), x(high), y(high), "front")]
    dots = thinned(list(zip(quantiles, sizes, strict=True)), MOST_RAW)
    inner += [circle(x(q), y(value), 3, "seed s1") for q, value in dots]
    inner.append(text("50%", bottom + 40, "Normal quantile", "axis middle"))
    return "".join(inner), bottom + 48


def seeds_needed(
    curves: Sequence[tuple[str, Sequence[tuple[int, float]]]],
    *,
    present: int,
    scale: float,
    y_title: str,
    limits: Sequence[Limit] = (),
) -> str:
    """Half an interval over the number of seeds, a line an effect: curves are (name, points).

    At most NUM_TONES of them. "" where no curve has two points.
    """
    shown = [(name, list(points)) for name, points in curves if len(points) > 1][:NUM_TONES]
    if not shown:
        return ""
    marks = [limit for limit in limits if math.isfinite(limit.at)]
    top, height = 34 + LEGEND_ROW * len(shown), 240
    bottom = top + height
    heights = [value for _, points in shown for _, value in points]
    y = Scale(0.0, max([*heights, *(limit.at for limit in marks)]) * 1.08, bottom, top)
    seeds = [seed for _, points in shown for seed, _ in points]
    x = Scale(min(seeds) - 0.4, max(seeds) + 0.4, 0, 100)
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
    inner.append(text("50%", bottom + 40, "Seeds of every cell", "axis middle"))
    names = legend_rows([name for name, _ in shown])
    outer = text("0", 14, y_title, "axis") + names + panel("".join(inner))
    return figure(outer, bottom + 48, f"{y_title} by number of seeds")
