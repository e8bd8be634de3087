"""The failures that an earlier start left, and how they are put out of the way. Without Ray."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from seedbed.storage.folder import Folder

FAILURE, FAILED_BEFORE = "failure.json", "failed_before.json"
ATTEMPTS = "attempts.json"  # of the study, beside its trials


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
