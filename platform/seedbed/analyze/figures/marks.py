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
_NEAR_END = 95  # percent of a panel
_ALONE_WIDTH, _MARGIN = 720, 20  # pixels of a figure that stands alone


@dataclass(frozen=True)
class Axis:
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


def ticks(low: float, high: float, count: int = 6) -> list[float]:
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


@dataclass(frozen=True)
class Figure:
    """A whole figure: its SVG pieces, its height in pixels, and `words` that say what it shows to
    those who cannot see it."""

    inner: str
    height: float
    words: str

    def inline(self) -> str:
        """The figure as a part of a page, as wide as its place there."""
        return self._svg('width="100%"')

    def standalone(self, style: str) -> str:
        """The figure as a file, which carries its own size, style and paper."""
        drawn = self._svg(f'x="{_MARGIN}" y="{_MARGIN}" width="{_ALONE_WIDTH}"')
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_ALONE_WIDTH + 2 * _MARGIN}" '
            f'height="{self.height + 2 * _MARGIN:g}"><style>{style}</style>'
            f'<rect width="100%" height="100%" style="fill: var(--paper)"/>{drawn}</svg>\n'
        )

    def _svg(self, size: str) -> str:
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="figure" role="img" '
            f'aria-label="{escape(self.words)}" {size} height="{self.height:g}">{self.inner}</svg>'
        )


def panel(inner: str) -> str:
    """The area right of the axis; places within it are percentages of it."""
    return f'<svg class="panel" x="{AXIS_WIDTH}" width="{_PANEL_WIDTH}%">{inner}</svg>'


def grid(y: Axis, scale: float) -> str:
    """Horizontal rules at round values, labelled left of the panel."""
    marks = ticks(y.low, y.high)
    parts = []
    for mark, words in zip(marks, tick_texts(marks, scale), strict=True):
        parts.append(line(0, y(mark), 100, y(mark), "grid"))
        parts.append(text("-10", y(mark) + 4, words, "axis end"))
    return "".join(parts)


def x_axis(x: Axis, bottom: float, scale: float = 1.0) -> str:
    """A rule at `bottom` with ticks at round values."""
    marks = ticks(x.low, x.high)
    parts = [line(0, bottom, 100, bottom, "rule")]
    for mark, words in zip(marks, tick_texts(marks, scale), strict=True):
        parts.append(line(x(mark), bottom, x(mark), bottom + 4, "tick"))
        # The page ends near the rule on a phone: a label around a tick there would be cut.
        kind = "axis end" if x(mark) > _NEAR_END else "axis middle"
        parts.append(text(f"{x(mark):g}%", bottom + 19, words, kind))
    return "".join(parts)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:g}%" y1="{y1:g}" x2="{x2:g}%" y2="{y2:g}"/>'


def circle(x: float, y: float, radius: float, kind: str) -> str:
    return f'<circle class="{kind}" cx="{x:g}%" cy="{y:g}" r="{radius:g}"/>'


def text(x: str, y: float, words: str, kind: str, dx: float = 0) -> str:
    aside = f' dx="{dx:g}"' if dx else ""
    return f'<text class="{kind}" x="{x}" y="{y:g}"{aside}>{escape(words)}</text>'


def place_labels(
    points: Sequence[tuple[float, float, str]],
) -> list[tuple[float, float, str]]:
    """For points (percent, pixels, label): each label's shift in pixels, its height, its anchor.

    Every label takes the first of some places around its point that is free of points and of
    labels set before, judged at the width of a phone; the least covered one if none is.
    """
    taken = [_box(at, 0, y + 5, "", "middle") for at, y, _ in points]
    chosen: list[tuple[float, float, str]] = []
    for at, y, label in points:
        around = [
            (0, y - 13, "middle"),
            (6, y - 13, "end"),
            (-6, y - 13, "start"),
            (0, y + 22, "middle"),
            (11, y + 4, "start"),
            (-11, y + 4, "end"),
            (9, y + 18, "start"),
            (-9, y - 9, "end"),
        ]
        boxes = [_box(at, dx, down, label, anchor) for dx, down, anchor in around]
        costs = [_outside(box) + sum(_overlap(box, other) for other in taken) for box in boxes]
        best = costs.index(min(costs))
        taken.append(boxes[best])
        chosen.append(around[best])
    return chosen


_Box = tuple[float, float, float, float]
_PHONE_WIDTH = 300  # pixels of the panel on a narrow screen
_LETTER_WIDTH = 7.2


def _box(at: float, dx: float, baseline: float, label: str, anchor: str) -> _Box:
    """Left, top, right, bottom in pixels; a bare point when there is no label."""
    width = _LETTER_WIDTH * len(label) if label else 12
    start = at / 100 * _PHONE_WIDTH + dx
    left = start - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
    return (left, baseline - 11, left + width, baseline + 2)


def _overlap(a: _Box, b: _Box) -> float:
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, wide) * max(0.0, high)


def _outside(box: _Box) -> float:
    """How far a label leaves the panel, where a page would cut it."""
    return 20 * (max(0.0, -AXIS_WIDTH - box[0]) + max(0.0, box[2] - _PHONE_WIDTH))
