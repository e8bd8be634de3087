"""The failures that an earlier start left, and how they are put out of the way. Without Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass

from seedbed.storage.folder import Folder
from seedbed.study.cell import Cell
from seedbed.study.label import Label

FAILURE, FAILED_BEFORE = "failure.json", "failed_before.json"
ATTEMPTS = "attempts.json"  # of the study, beside its trials
GIVEN_UP = "given_up.json"  # of a search, in the folder of its variation


def failed_attempts(store: Folder) -> dict[str, int]:
    """How many attempts at each trial have failed so far, by its key."""
    found: dict[str, int] = store.read_json(ATTEMPTS) or {}
    return found


def note_attempts(store: Folder, failed: Mapping[str, int]) -> None:
    """Write it down: one file, of those trials alone that have failed."""
    store.write_json(dict(failed), ATTEMPTS)


def failed_before(store: Folder, keys: Iterable[str]) -> set[str]:
    """Which of `keys` left a failure at an earlier start."""
    begun = set(store.names("trials"))
    return {k for k in keys if k in begun and store.exists("trials", k, FAILURE)}


def forgive(store: Folder, keys: Iterable[str]) -> set[str]:
    """Put the failures of an earlier start out of the way: the trials are tried again.

    Returns the keys of those that had left one.
    """
    found = failed_before(store, keys)
    for key in found:
        store.move(("trials", key, FAILURE), ("trials", key, FAILED_BEFORE))
    return found


@dataclass(frozen=True)
class GivenUp:
    """A candidate that failed too often, so that its cell's search goes on without it: the labels
    of its `cell`, its `name` for people, and why it failed."""

    cell: Mapping[str, Label]
    name: str
    reason: str


def given_up(store: Folder, variation: str) -> dict[str, GivenUp]:
    """The candidates that earlier starts have given up, by key."""
    values = store.read_json(variation, GIVEN_UP)
    # A file of an older version has keys alone: these are tried again.
    known = values if isinstance(values, dict) else {}
    return {key: GivenUp(**one) for key, one in known.items()}


def note_given_up(store: Folder, variation: str, candidates: Mapping[str, GivenUp]) -> None:
    """Write them down, in place of those before."""
    values = {key: asdict(one) for key, one in candidates.items()}
    store.write_json(values, variation, GIVEN_UP)


def try_again(store: Folder, variation: str, wanted: Callable[[Cell], bool]) -> list[GivenUp]:
    """Let a search try again what it has given up of the `wanted` cells; returns these."""
    known = given_up(store, variation)
    again = {key: one for key, one in known.items() if wanted(Cell(one.cell))}
    if again:
        forgive(store, again)
        note_given_up(store, variation, {k: one for k, one in known.items() if k not in again})
    return list(again.values())
