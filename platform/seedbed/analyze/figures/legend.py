"""The colours of a figure, and the rows that name them."""

from __future__ import annotations

from collections.abc import Sequence

from seedbed.analyze.figures.marks import (
    text,
)

NUM_TONES = 4


LEGEND_ROW = 20  # pixels


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
