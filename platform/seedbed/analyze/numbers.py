"""Formats numbers for people: percent, percentage points, counts, intervals and p values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from seedbed.metric import Metric

NONE = "–"  # stands where there is no number
MINUS = "−"
_NARROW = "\u202f"  # a narrow no-break space, between thousands and before units

_MOST_DECIMALS = 6


@dataclass(frozen=True)
class Unit:
    """How one response is named and formatted; fractions are percent, their differences points."""

    metric: Metric
    decimals: int

    @property
    def name(self) -> str:
        return self.metric.name

    @property
    def label(self) -> str:
        return self.metric.label

    @property
    def is_fraction(self) -> bool:
        return self.metric.is_share

    @property
    def less_is_better(self) -> bool:
        return not self.metric.higher_is_better

    def value(self, x: float) -> str:
        if not math.isfinite(x):
            return NONE
        return self._number(100 * x if self.is_fraction else x)

    def _number(self, x: float) -> str:
        return significant(x, 3) if self.decimals > _MOST_DECIMALS else number(x, self.decimals)

    def difference(self, x: float) -> str:
        if not math.isfinite(x):
            return NONE
        text = self._number(100 * x if self.is_fraction else x)
        rounded_to_zero = not text.strip(f"0.{MINUS}")
        return text.lstrip(MINUS) if rounded_to_zero else text if x < 0 else f"+{text}"

    def interval(self, low: float, high: float, *, signed: bool = True) -> str:
        if math.isnan(low) or math.isnan(high):
            return NONE
        write = self.difference if signed else self.value
        return f"{write(low)} to {write(high)}"

    @property
    def value_unit(self) -> str:
        return "%" if self.is_fraction else ""

    @property
    def difference_unit(self) -> str:
        return "points" if self.is_fraction else ""

    def spoken(self) -> str:
        """The label inside a sentence; the name of a column of somebody's table stays as it is."""
        if self.label == self.metric.name:
            return self.label
        return self.label[:1].lower() + self.label[1:]


def unit_of(metric: Metric, values: Iterable[float], half_widths: Iterable[float] = ()) -> Unit:
    """The unit of a response, with as many decimals as the width of its intervals supports."""
    known = [float(value) for value in values if math.isfinite(value)]
    widths = [float(width) for width in half_widths if 0 < width < math.inf]
    scale = 100 if metric.is_share else 1
    if widths:
        decimals = 1 - math.floor(math.log10(scale * min(widths)))
    else:
        top = max((abs(value) for value in known if value), default=1.0)
        decimals = 1 if metric.is_share else 3 - math.floor(math.log10(top)) - 1
    # One more than the most decimals means significant digits instead: the values are too small.
    lowest, highest = (1, 2) if metric.is_share else (0, _MOST_DECIMALS + 1)
    return Unit(metric, min(max(decimals, lowest), highest))


def number(x: float, decimals: int) -> str:
    """A number with a true minus and narrow spaces between thousands."""
    return f"{x:,.{decimals}f}".replace(",", _NARROW).replace("-", MINUS)


def significant(x: float, digits: int = 4) -> str:
    """A number to so many significant digits, for quantities of any size."""
    if math.isnan(x):
        return NONE
    if x == 0:
        return "0"
    decimals = digits - 1 - math.floor(math.log10(abs(x)))
    if decimals > 9:
        return f"{x:.{digits - 1}e}".replace("-", MINUS)
    return number(float(f"{x:.{digits}g}"), max(0, decimals))


def count_words(number_of: float) -> str:
    """A large count to three digits: `10.2 k`, `3.4 B`."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number_of >= size:
            return f"{number_of / size:.3g}{_NARROW}{letter}"
    return f"{number_of:.3g}"


def p_value(p: float) -> str:
    if math.isnan(p):
        return NONE
    if p < 0.0001:
        return "< 0.0001"
    return f"{p:.4f}" if p < 0.01 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def listed(words: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def counted(count: int, noun: str) -> str:
    """`1 trial`, `12 trials`."""
    return f"{number(count, 0)} {noun}" if count == 1 else f"{number(count, 0)} {noun}s"


def plain(text: str) -> str:
    """The text in ASCII, for terminals that may know nothing else."""
    return text.replace(MINUS, "-").replace(_NARROW, " ").replace(NONE, "-").replace("×", "x")
