"""The one place where values are validated: numbers, integers, bounds and choices.

`number`, `count` and `one_of` take a value and what to call it in a message; `numbers`, `counts`,
`choice` and `switches` do the same for fields of a frozen dataclass and normalise them (1 and 1.0
are one recipe, with one key). All raise `error` with the offending value, why, and how to mend it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

from seedbed.errors import SeedbedError, StudyError, nearest

INFINITY = math.inf
# Of a field that is left out of a recipe's key where it has its default: one that came later, and
# must not change the keys of what was trained before.
UNSAID = {"unsaid": True}
Kind = type[SeedbedError]


def is_number(value: object) -> bool:
    """Whether `value` is a finite number; True and False are not."""
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def is_integer(value: object) -> bool:
    """Whether `value` is an integer by type; True and False are not."""
    return not isinstance(value, bool) and isinstance(value, Integral)


def number(
    name: str,
    value: Any,
    *,
    least: float = -INFINITY,
    most: float = INFINITY,
    above: float = -INFINITY,
    below: float = INFINITY,
    why: str = "it is a finite number",
    mend: str = "",
    error: Kind = StudyError,
) -> float:
    """`value` as a float, with `least` <= value <= `most` and `above` < value < `below`."""
    if is_number(value) and least <= value <= most and above < value < below:
        return float(value)
    words = _bounds(least, most, above, below)
    raise error(f"{name} is {value!r}", why=why, mend=mend or f"give a number{words}")


def count(
    name: str,
    value: Any,
    *,
    least: float = 1,
    most: float = INFINITY,
    why: str = "it is a whole number",
    mend: str = "",
    error: Kind = StudyError,
) -> int:
    """`value` as an int from `least` to `most`. Any float is refused, 2.0 too."""
    if is_integer(value) and least <= value <= most:
        return int(value)
    words = _bounds(least, most, -INFINITY, INFINITY)
    raise error(f"{name} is {value!r}", why=why, mend=mend or f"give a whole number{words}")


def one_of(
    name: str, value: Any, known: Iterable[Any], *, why: str, error: Kind = StudyError
) -> None:
    """Refuse a `value` that is not among `known`; the message names the nearest one that is."""
    known = tuple(known)
    if value not in known:
        raise error(f"{name} is {value!r}", why=why, mend=nearest(value, known))


def numbers(owner: Any, *names: str, **bounds: Any) -> None:
    """Make the fields `names` of `owner` floats within `bounds`, as `number` takes them."""
    for name in names:
        object.__setattr__(owner, name, number(_field(owner, name), getattr(owner, name), **bounds))


def shares(owner: Any, *names: str, **words: Any) -> None:
    """Make the fields floats from 0 to 1."""
    words = {"why": "it is a probability or a share", "mend": "give 0 to 1"} | words
    numbers(owner, *names, least=0, most=1, **words)


def counts(owner: Any, *names: str, **bounds: Any) -> None:
    """Make the fields ints of 1 or more, or within `bounds`, as `count` takes them."""
    for name in names:
        object.__setattr__(owner, name, count(_field(owner, name), getattr(owner, name), **bounds))


def choice(
    owner: Any, name: str, known: Iterable[Any], *, why: str, error: Kind = StudyError
) -> None:
    """Refuse a field that is not among `known`."""
    one_of(_field(owner, name), getattr(owner, name), known, why=why, error=error)


def switches(owner: Any, *names: str, error: Kind = StudyError) -> None:
    """Refuse fields that are neither True nor False."""
    for name in names:
        if not isinstance(getattr(owner, name), bool):
            raise refused(owner, name, "it is a switch", "give True or False", error)


def ordered(owner: Any, low: str, high: str) -> None:
    """Refuse a range whose low end, the field `low`, lies above its high end."""
    if getattr(owner, low) > getattr(owner, high):
        why = f"{high} is {getattr(owner, high)}, and nothing lies between"
        raise refused(owner, low, why, f"lower {low} or raise {high}")


def refused(owner: Any, name: str, why: str, mend: str, error: Kind = StudyError) -> SeedbedError:
    """The error for the field `name` of `owner`."""
    return error(f"{_field(owner, name)} is {getattr(owner, name)!r}", why=why, mend=mend)


def _field(owner: Any, name: str) -> str:
    return f"{type(owner).__name__}.{name}"


def _bounds(least: float, most: float, above: float, below: float) -> str:
    """The bounds in words: ` of 0 or more`, ` above 0 and at most 1`."""
    if math.isfinite(least) and math.isfinite(most):
        return f" from {least:g} to {most:g}"
    if math.isfinite(least) and not math.isfinite(below):
        return f" of {least:g} or more"
    words = [
        f"{word} {bound:g}"
        for word, bound in (
            ("at least", least),
            ("above", above),
            ("at most", most),
            ("below", below),
        )
        if math.isfinite(bound)
    ]
    return f" {' and '.join(words)}" if words else ""
