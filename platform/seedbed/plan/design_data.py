"""What a design says of the data that were found, and of the samples that could not be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from seedbed.errors import TrackingError, nearest


@dataclass(frozen=True, kw_only=True)
class SelectionStep:
    """One rule of a selection: rows that came to it, and those that it removed."""

    name: str
    num_rows: int
    num_removed: int


@dataclass(frozen=True, kw_only=True)
class SelectedData:
    """The training pairs of some cells, where the data are a factor or chosen by rules."""

    cells: tuple[str, ...]
    uri: str
    caption: str
    fingerprint: str
    num_samples: int
    steps: tuple[SelectionStep, ...] = ()


@dataclass(frozen=True, kw_only=True)
class BadSamples:
    """Samples that could not be used: counted over trials, some named (shard, key, reason)."""

    num_trials: int
    num_trained: int
    num_tested: int
    num_different: int
    named: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class DesignData:
    """The data that was found; fingerprint and number are of a study with one training set."""

    uri: str = ""
    num_test_samples: int | None = None
    sources: tuple[str, ...] = ()
    fingerprint: str = ""
    num_samples: int | None = None
    selections: tuple[SelectedData, ...] = ()
    bad_samples: BadSamples | None = None

    def to_json(self) -> dict[str, Any]:
        return {name: _plain(value) for name, value in vars(self).items() if _is_there(value)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> DesignData:
        bad = values.get("bad_samples")
        return cls(
            **known_fields(cls, values)
            | {
                "sources": tuple(values.get("sources", ())),
                "selections": tuple(map(_selection, values.get("selections", ()))),
                "bad_samples": bad and BadSamples(**bad | {"named": _tuples(bad["named"])}),
            }
        )


def known_fields(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` without the version. Raises TrackingError for a field that `kind` does not have."""
    known = {f.name for f in fields(kind)}
    for name in values:
        if name not in known and name != "version":
            raise TrackingError(
                f"a design has the field '{name}'",
                why="a field nobody reads may carry what matters",
                mend=nearest(name, known),
            )
    return {name: value for name, value in values.items() if name in known}


def _selection(values: Mapping[str, Any]) -> SelectedData:
    steps = tuple(SelectionStep(**step) for step in values.get("steps", ()))
    return SelectedData(**{**values, "cells": tuple(values["cells"]), "steps": steps})


def _tuples(rows: Any) -> tuple[tuple[str, str, str], ...]:
    return tuple((str(shard), str(key), str(reason)) for shard, key, reason in rows)


def _is_there(value: object) -> bool:
    return value not in (None, "", ())


def _plain(value: Any) -> Any:
    """A field of the data as plain JSON values."""
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, SelectedData | SelectionStep | BadSamples):
        return {name: _plain(own) for name, own in vars(value).items()}
    return value
