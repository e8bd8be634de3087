"""Patches: fields of nested frozen values, replaced by their dotted paths, all at once."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, get_type_hints

from seedbed.errors import StudyError, nearest
from seedbed.model.objective import Objective
from seedbed.model.term import Term, Weighted


def patched(value: Any, where: str, patches: Mapping[str, Any]) -> Any:
    """`value` with all `patches` {path: value}; `where` names it in errors.

    A path may lie beneath another: the shorter one's value is set, and patched in turn. Each
    value on the way is rebuilt once, so that a change is checked with all the others: a smaller
    budget together with its smaller warm-up. Raises StudyError for a path that does not exist,
    with the nearest name, for a value of another type, and for what does not fit together.
    """
    own = patched_fields(value, where, patches)
    return _replaced(value, own) if own else value


def patched_fields(value: Any, where: str, patches: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `value` that `patches` change, as `patched` gives them, not yet together."""
    own: dict[str, Any] = {}
    beneath: dict[str, dict[str, Any]] = {}
    there: dict[str, Any] = {}
    for path, new in patches.items():
        name, _, rest = path.partition(".")
        if name not in there:
            there[name] = child(value, where, name)
        if rest:
            beneath.setdefault(name, {})[rest] = new
        else:
            own[name] = new
    for name in {**own, **beneath}:
        old = there[name]
        if name in own:
            owner = value.term if isinstance(value, Weighted) and name != "weight" else value
            own[name] = _fitting(owner, f"{where}.{name}", name, old, own[name])
        if name in beneath:
            own[name] = patched(own.get(name, old), f"{where}.{name}", beneath[name])
    return own


def value_at(value: Any, where: str, path: str) -> Any:
    """What stands at `path` beneath `value`. Raises StudyError as `patched` does."""
    here, names = value, path.split(".")
    for depth, name in enumerate(names):
        here = child(here, ".".join([where, *names[:depth]]), name)
    return here


def is_default(value: Any, path: str) -> bool:
    """Whether the field at `path` beneath `value` has its class's default."""
    owner, _, name = path.rpartition(".")
    try:
        holder = value_at(value, "", owner) if owner else value
        field_value = child(holder, "", name)
    except StudyError:
        return False
    if isinstance(holder, Weighted) and name != "weight":
        holder = holder.term
    for field in dataclasses.fields(holder) if dataclasses.is_dataclass(holder) else ():
        if field.name == name:
            if field.default_factory is not dataclasses.MISSING:
                return bool(field_value == field.default_factory())
            return bool(field_value == field.default)
    return False


def is_whole(value: Any) -> bool:
    """Whether `value` has fields of its own, which paths can reach."""
    return isinstance(value, Objective) or dataclasses.is_dataclass(value)


def beneath(path: str, root: str) -> bool:
    """Whether `path` is `root`, or sets a part of what it sets."""
    return f"{path}.".startswith(f"{root}.")


def overlap(one: str, other: str) -> bool:
    """Whether two paths set the same field, or one a part of what the other sets."""
    return beneath(one, other) or beneath(other, one)


def child(value: Any, where: str, name: str) -> Any:
    """The field `name` of `value`. Raises StudyError where it has none, with the nearest."""
    if name not in _names(value):
        raise StudyError(
            f"{where} has no '{name}'",
            why=f"{where} is {_described(value)}",
            mend=_has(name, _names(value)),
        )
    if isinstance(value, Objective):
        return dict(value.items())[name]
    if isinstance(value, Weighted) and name != "weight":
        return getattr(value.term, name)
    return getattr(value, name)


def _names(value: Any) -> Sequence[str]:
    if isinstance(value, Objective):
        return [name for name, _ in value.items()]
    if isinstance(value, Weighted):  # a term's fields are reached past its weight
        return ["weight", *_names(value.term)]
    return _fields_of(value.__class__)


@functools.cache
def _fields_of(kind: type) -> tuple[str, ...]:
    """The fields of a dataclass, none of another class: listed for every cell of a study."""
    if not dataclasses.is_dataclass(kind):
        return ()
    return tuple(field.name for field in dataclasses.fields(kind))


def _described(value: Any) -> str:
    if is_whole(value):
        return f"a value of type {type(value).__name__}"
    return f"the {type(value).__name__} {value!r}, which has no fields"


def _has(name: str, known: Sequence[str]) -> str:
    if not known:
        return "end the path before it"
    return nearest(name, known).replace("Known: ", "It has ")


def _replaced(value: Any, fields: dict[str, Any]) -> Any:
    """`value` with `fields`, which fit."""
    if isinstance(value, Objective):
        return Objective(**(dict(value.items()) | fields))
    if isinstance(value, Weighted):
        weight = fields.pop("weight", value.weight)
        return Weighted(dataclasses.replace(value.term, **fields), weight)  # type: ignore[type-var]
    return dataclasses.replace(value, **fields)


def _fitting(owner: Any, where: str, name: str, old: Any, new: Any) -> Any:
    """`new` as the field's type: an int is taken for a float, nothing else is converted."""
    if isinstance(owner, Objective):  # a term is set whole, or by its weight
        if isinstance(new, Weighted | Term):
            return new if isinstance(new, Weighted) else Weighted(new)
        if not isinstance(new, bool) and isinstance(new, int | float):
            return Weighted(old.term, new)
        raise StudyError(
            f"{where} takes a weight or a term, not {type(new).__name__} {new!r}",
            why="it is a term of the objective",
            mend=f"give a number like {old.weight:g}, or a weighted term",
        )
    if isinstance(old, float) and isinstance(new, int) and not isinstance(new, bool):
        return float(new)
    expected = type(old)
    if name == "options" and isinstance(new, dict):
        return new
    ok = isinstance(new, expected) and not (isinstance(new, bool) and expected is not bool)
    if not ok:
        hint = get_type_hints(type(owner)).get(name, expected)
        shown = getattr(hint, "__name__", str(hint))
        raise StudyError(
            f"{where} takes {shown}, not {type(new).__name__} {new!r}",
            why="a value of another type would change what the field means",
            mend=f"give a value like {old!r}",
        )
    return new
