"""Estimated amounts for people: to two digits, which is more than most of them have."""

from __future__ import annotations

import math

_SPANS = (("years", 31_557_600.0), ("days", 86_400.0), ("h", 3_600.0), ("min", 60.0))
_SIZES = (("TB", 1e12, 1e12), ("GB", 1e9, 1e8), ("MB", 1e6, 1e5))  # and from where on each is said


def two_digits(value: float) -> str:
    """`0.046`, `3.2`, `14`, `11,000`."""
    if value <= 0:
        return "0"
    rounded = float(f"{value:.1e}")
    return f"{rounded:,.{max(0, 1 - math.floor(math.log10(rounded)))}f}"


def duration(seconds: float) -> str:
    """`40 s`, `14 min`, `3.2 h`, `8.2 days`."""
    for unit, length in _SPANS:
        if seconds >= 1.5 * length:
            return f"{two_digits(seconds / length)} {unit}"
    return f"{two_digits(seconds)} s"


def hours(seconds: float) -> str:
    """Hours of a device."""
    return two_digits(seconds / 3600)


def dollars(amount: float) -> str:
    """`$0.04`, `$1.60`, `$12`, `$11,000`."""
    if amount < 0.01:
        return "less than a cent"
    return f"${float(f'{amount:.1e}'):.2f}" if amount < 9.95 else f"${two_digits(amount)}"


def size(num_bytes: float) -> str:
    """`7.4 kB`, `0.52 GB`, `1.3 TB`."""
    for unit, length, least in _SIZES:
        if num_bytes >= least:
            return f"{two_digits(num_bytes / length)} {unit}"
    return f"{two_digits(num_bytes / 1e3)} kB"


def spent(amount: float, unit: str) -> str:
    """An amount of dollars, or of a device's hours, as `unit` says."""
    return dollars(amount) if unit == "$" else f"{two_digits(amount)} {unit}"
