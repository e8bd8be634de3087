"""Plain SVG pieces, fluid in width and coloured by a style sheet.

Horizontal places are percentages, heights and text are CSS pixels: a figure then fits a phone and
a printed page without scaling its letters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

AXIS_WIDTH = 52  # pixels left of the panel, for the tick labels
_PANEL_WIDTH = 84  # percent; on a phone this and the axis fill the width


@dataclass(frozen=True)
class Scale:
    """A linear map of data onto percent or pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, x: float) -> float:
        share = (x - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 2)


def span_of(values: Sequence[float], margin: float = 0.06) -> tuple[float, float]:
    """The range of the finite values, widened by `margin` on either side."""
    known = [value for value in values if math.isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    gap = (high - low) or abs(high) * 0.1 or 1.0
    return low - margin * gap, high + margin * gap


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers within the range."""
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def tick_texts(values: Sequence[float], scale: float = 1.0) -> list[str]:
    """The ticks with the fewest decimals that tell them exactly."""
    scaled = [value * scale for value in values]
    decimals = 0
    while decimals < 6 and any(abs(round(value, decimals) - value) > 1e-9 for value in scaled):
        decimals += 1
    return [f"{value + 0.0:.{decimals}f}".replace("-", "−") for value in scaled]


def figure(inner: str, height: float, words: str) -> str:
    """A whole figure; `words` say what it shows to those who cannot see it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="figure" role="img" '
        f'aria-label="{escape(words)}" width="100%" height="{height:g}">{inner}</svg>'
    )


def panel(inner: str) -> str:
    """The area right of the axis; places within it are percentages of it."""
    return f'<svg class="panel" x="{AXIS_WIDTH}" width="{_PANEL_WIDTH}%">{inner}</svg>'


def grid(y: Scale, scale: float) -> str:
    """Horizontal rules at round values, labelled left of the panel."""
    marks = ticks(y.low, y.high)
    parts = []
    for mark, words in zip(marks, tick_texts(marks, scale), strict=True):
        parts.append(line(0, y(mark), 100, y(mark), "grid"))
        parts.append(text("-10", y(mark) + 4, words, "axis end"))
    return "".join(parts)


def x_axis(x: Scale, bottom: float, scale: float = 1.0) -> str:
    """A rule at `bottom` with ticks at round values."""
    marks = ticks(x.low, x.high)
    parts = [line(0, bottom, 100, bottom, "rule")]
    for mark, words in zip(marks, tick_texts(marks, scale), strict=True):
        parts.append(line(x(mark), bottom, x(mark), bottom + 4, "tick"))
        parts.append(text(f"{x(mark):g}%", bottom + 19, words, "axis middle"))
    return "".join(parts)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:g}%" y1="{y1:g}" x2="{x2:g}%" y2="{y2:g}"/>'


def circle(x: float, y: float, radius: float, kind: str) -> str:
    return f'<circle class="{kind}" cx="{x:g}%" cy="{y:g}" r="{radius:g}"/>'


def text(x: str, y: float, words: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y:g}">{escape(words)}</text>'
