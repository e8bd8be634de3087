"""A recipe's fields by their dotted paths, and the keys that are made of them.

Most of the recipes of a study have most parts in common: each part is listed and written once.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from seedbed.data.select.filters.filter import Filter
from seedbed.data.views import View
from seedbed.model.objective import Objective
from seedbed.model.term import Weighted

SCHEMA = 4  # part of every key: raised when the same fields come to mean something else

Value = str | int | float | bool | None


def content_key(values: Mapping[str, Value]) -> str:
    """16 hex digits of `values`, whatever their order."""
    return _digest(json.dumps({"schema": SCHEMA, **values}, sort_keys=True, ensure_ascii=True))


def key_of(fields: Mapping[str, Any]) -> str:
    """`content_key` of `flat_of(fields)`, put together from the JSON of each field.

    Sorted paths are those of one field after those of another: whatever a name of a field goes on
    with comes after the "." that begins its parts.
    """
    written = [
        _written(name, value) for name, value in sorted({"schema": SCHEMA, **fields}.items())
    ]
    return _digest(f"{{{', '.join(filter(None, written))}}}")


def flat_of(fields: Mapping[str, Any]) -> dict[str, Value]:
    """Every field beneath `fields` by its dotted path."""
    flat: dict[str, Value] = {}
    for name, value in fields.items():
        if isinstance(value, _PLAIN):
            flat[name] = value
        else:
            flat.update(_part(name, value)[1])
    return flat


def _digest(canonical: str) -> str:
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _written(name: str, value: Any) -> str:
    return _json({name: value}) if isinstance(value, _PLAIN) else _part(name, value)[2]


def _json(flat: Mapping[str, Value]) -> str:
    """Its items, without the braces."""
    return json.dumps(dict(sorted(flat.items())))[1:-1]


def flattened(path: str, value: Any) -> dict[str, Value]:
    """Every field of `value`, which stands at `path` of a recipe, by its dotted path."""
    flat: dict[str, Value] = {}
    _flatten(path, value, flat)
    return flat


def _flatten(prefix: str, value: Any, flat: dict[str, Value]) -> None:
    """Put the fields of `value` into `flat`. Runs for every trial: no generators, no lookups."""
    if isinstance(value, _PLAIN):
        flat[prefix] = value
    elif isinstance(value, Objective):
        for name, weighted in value.present():
            _flatten(f"{prefix}.{name}", weighted, flat)
    elif isinstance(value, Weighted):
        flat[f"{prefix}.weight"] = value.weight
        flat[f"{prefix}.term"] = type(value.term).__name__
        _flatten(prefix, value.term, flat)
    elif isinstance(value, View):
        flat[prefix] = value.name
    elif names := names_of(value.__class__):
        unsaid = unsaid_of(value.__class__)
        for name in names:
            if name in unsaid and getattr(value, name) == unsaid[name]:
                continue
            _flatten(f"{prefix}.{name}" if prefix else name, getattr(value, name), flat)
    elif isinstance(value, tuple):
        flat[prefix] = json.dumps([v.name if isinstance(v, Filter) else v for v in value])
    elif not dataclasses.is_dataclass(value):
        flat[prefix] = value


_MOST_PARTS = 4_096
_parts: dict[tuple[str, int], tuple[Any, dict[str, Value], str]] = {}


def _part(name: str, value: Any) -> tuple[Any, dict[str, Value], str]:
    """The very `value`, `flattened`, and that as JSON."""
    known = _parts.get((name, id(value)))
    if known is None or known[0] is not value:  # another value, where the first one was
        if len(_parts) >= _MOST_PARTS:
            _parts.clear()
        flat = flattened(name, value)
        known = _parts[name, id(value)] = (value, flat, _json(flat))
    return known


_PLAIN = (str, int, float, type(None))


@functools.lru_cache(maxsize=256)
def names_of(kind: type) -> tuple[str, ...]:
    """The fields of a dataclass; none of another class."""
    return tuple(f.name for f in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else ()


@functools.lru_cache(maxsize=256)
def unsaid_of(kind: type) -> dict[str, Any]:
    """Of a dataclass, the defaults of the fields that are left out where they have them."""
    return {f.name: f.default for f in dataclasses.fields(kind) if "unsaid" in f.metadata}
