"""The figure of learning curves: panels of lines over samples seen, under one legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seedbed.analyze.figures.legend import LEGEND_ROW, tone_of
from seedbed.analyze.figures.marks import Axis, Figure, grid, panel, span_of, text, x_axis

_WIDTH = 1000.0  # units across a panel, whatever its pixels
_HEIGHT, _GAP = 220, 62  # pixels of a panel, and from its rule to the next one's title
_UNITS = ((1e7, 1e-6, " (millions)"), (1e4, 1e-3, " (thousands)"), (0.0, 1.0, ""))


@dataclass(frozen=True)
class Key:
    """A line's colour (None for that of the text) and its dashes, by number."""

    tone: int | None
    dash: int

    @property
    def kind(self) -> str:
        tone = "plain" if self.tone is None else tone_of(self.tone)
        return f"{tone} d{self.dash + 1}"


@dataclass(frozen=True)
class Curve:
    """A line of (samples, value); `kind` is "mean" or "thin". What is not `is_whole`, of a trial
    that diverged, does not stretch the axis."""

    points: Sequence[tuple[float, float]]
    key: Key
    kind: str
    is_whole: bool = True


@dataclass(frozen=True)
class Panel:
    """The curves of one metric, whose values are shown times `scale`."""

    title: str
    curves: Sequence[Curve]
    scale: float = 1.0


def curve_figure(
    panels: Sequence[Panel], legend: Sequence[tuple[str, Key]], along: str = "Samples seen"
) -> Figure:
    """The panels one below the other, over the same samples, or over what `along` says."""
    last = max(at for one in panels for curve in one.curves for at, _ in curve.points)
    x = Axis(0.0, last, 0, 100)
    shrink, unit = next((shrink, unit) for least, shrink, unit in _UNITS if last >= least)
    shown = legend if len(legend) > 1 else []
    parts = [_legend_row(number, words, key) for number, (words, key) in enumerate(shown)]
    top = LEGEND_ROW * len(shown) + (14 if shown else 0)
    for one in panels:
        parts.append(text("0", top + 14, one.title, "axis"))
        start, bottom = top + 32, top + 32 + _HEIGHT
        y = Axis(*_span(one), bottom, start)
        drawn = _lines(one, last, y, start)
        parts.append(panel(grid(y, one.scale) + x_axis(x, bottom, shrink) + drawn))
        top = bottom + _GAP - 14
    # A panel spans 52 pixels to 84 %: this is about its middle, at every width.
    title = text("50%", top - 8, f"{along}{unit}", "axis middle")
    words = " and ".join(one.title for one in panels)
    return Figure("".join(parts) + panel(title), top, f"{words} by {along.lower()}")


def _span(one: Panel) -> tuple[float, float]:
    whole = [curve for curve in one.curves if curve.is_whole] or one.curves
    return span_of([value for curve in whole for _, value in curve.points])


def _lines(one: Panel, last: float, y: Axis, start: float) -> str:
    """The lines, in a box that stretches with the panel and cuts what leaves it."""
    parts = [
        f'<polyline class="curve {curve.kind} {curve.key.kind}" points="'
        + " ".join(f"{_WIDTH * at / last:.4g},{y(value) - start:.4g}" for at, value in curve.points)
        + '"/>'
        for curve in one.curves
    ]
    return (
        f'<svg class="curves" y="{start}" width="100%" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH:g} {_HEIGHT}" preserveAspectRatio="none">{"".join(parts)}</svg>'
    )


def _legend_row(number: int, words: str, key: Key) -> str:
    y = 12 + LEGEND_ROW * number
    swatch = f'<line class="curve mean {key.kind}" x1="0" x2="26" y1="{y - 4}" y2="{y - 4}"/>'
    return swatch + text("36", y, words, "axis")
