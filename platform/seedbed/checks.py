"""Checks of the fields of an augmentation: floats, shares and ranges."""

from __future__ import annotations

import math
from typing import Any

from seedbed.errors import StudyError


def as_floats(value: Any, *names: str) -> None:
    """Make the fields `names` of a frozen `value` finite floats: 1 and 1.0 are one recipe."""
    for name in names:
        given = getattr(value, name)
        number = isinstance(given, (int, float)) and not isinstance(given, bool)
        if not number or not math.isfinite(given):
            raise refused(value, name, "it is a finite number", "give a number")
        object.__setattr__(value, name, float(given))


def shares(value: Any, *names: str) -> None:
    """Refuse a field of `names` outside 0 to 1."""
    for name in names:
        if not 0 <= getattr(value, name) <= 1:
            raise refused(value, name, "it is a probability or a share", "give 0 to 1")


def ranges(value: Any, *names: str, least: float, above: bool = False) -> None:
    """Refuse `min_x` > `max_x`, and a `min_x` below `least` (or at it, with `above`).

    `names` are pairs: the field of the low end, then that of the high end.
    """
    for low, high in zip(names[::2], names[1::2], strict=True):
        if getattr(value, low) < least or (above and getattr(value, low) == least):
            word = "more than" if above else "at least"
            raise refused(value, low, f"it is {word} {least:g}", f"give {word} {least:g}")
        if getattr(value, low) > getattr(value, high):
            why = f"{high} is {getattr(value, high)}, and nothing lies between"
            raise refused(value, low, why, f"lower {low} or raise {high}")


def refused(value: Any, name: str, why: str, mend: str) -> StudyError:
    """The error for the field `name` of `value`."""
    what = f"{type(value).__name__}.{name} is {getattr(value, name)!r}"
    return StudyError(what, why=why, mend=mend)
