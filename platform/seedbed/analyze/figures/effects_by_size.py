"""Effects as bars, the largest first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from seedbed.analyze.figures.axes import axis_scale, in_unit
from seedbed.analyze.figures.limits import Limit, lenth_limits
from seedbed.analyze.figures.marks import Axis, Figure, line, text, x_axis
from seedbed.analyze.findings.study import Findings

MOST_BARS = 15


@dataclass(frozen=True)
class Bar:
    """An effect: its name, its size with sign, and the number as written."""

    label: str
    text: str
    size: float


def effects_figure(findings: Findings) -> Figure | None:
    unit, table = findings.primary.unit, findings.two_level
    title = in_unit(findings, "Absolute difference")
    if table is not None:
        bars = [
            Bar(str(term).replace(":", " × "), unit.difference(size), float(size))
            for term, size in table["effect"].items()
        ]
        return effect_pareto(
            bars, scale=axis_scale(findings), title=title, limits=lenth_limits(findings)
        )
    bars = [
        Bar(
            f"{one.term.replace(':', ' × ')}: {one.words}",
            unit.difference(one.estimate),
            one.estimate,
        )
        for one in (*findings.primary.contrasts, *findings.primary.interactions)
    ]
    return effect_pareto(bars, scale=axis_scale(findings), title=title)


def effect_pareto(
    bars: Sequence[Bar], *, scale: float, title: str, limits: Sequence[Limit] = ()
) -> Figure | None:
    """Effects by their absolute size, the largest first; `limits` are drawn across.

    Of more than MOST_BARS the largest are shown. None where no size is known.
    """
    known = sorted((b for b in bars if math.isfinite(b.size)), key=lambda bar: -abs(bar.size))
    if not known:
        return None
    shown = known[:MOST_BARS]
    marks = [limit for limit in limits if math.isfinite(limit.at)]
    row, top = 38, 8 + 18 * len(marks)
    bottom = top + row * len(shown)
    widest = max([abs(shown[0].size), *(limit.at for limit in marks)]) or 1.0
    x = Axis(0, widest * 1.04, 0, 100)
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
    return Figure("".join(parts), bottom + 48, words)
