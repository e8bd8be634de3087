"""What a cohort's checkpoint says of itself: of which data it is, and which trials are sound."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from seedbed.data.order import ORDER_SCHEMA
from seedbed.errors import DataError

CHECKPOINT_FILE = "cohort.pt"  # what all variants share; each has a file of its own beside it
PLACE_FILE = "place.json"  # beside it: what it holds, for who does not want to read all of it


@dataclass(frozen=True)
class Kept:
    """A checkpoint in the results folder: where it is, at which step, and for which trials."""

    path: tuple[str, ...]
    step_number: int
    keys: frozenset[str]

    @property
    def run(self) -> str:
        return self.path[1]


def data_mark(fingerprint: str) -> dict[str, Any]:
    """What a checkpoint says of its data, and of their order."""
    return {"data_fingerprint": fingerprint, "order_schema": ORDER_SCHEMA}


def check_same_data(state: Mapping[str, Any], fingerprint: str) -> None:
    """Raise DataError for a checkpoint of other data, which must never go on with these."""
    mark = data_mark(fingerprint)
    found = {name: state.get(name) for name in mark}
    if found != mark:
        raise DataError(
            f"a checkpoint was made on the data {found}, and the trial reads {mark}",
            why="it would be recorded as trained on these alone",
            mend="remove the checkpoint from the results folder, and start again",
        )


def variant_file(key: str) -> str:
    """Where the state of one trial is."""
    return f"variant-{key}.pt"


def place_of(
    cohort: str,
    *,
    fingerprint: str,
    step_number: int,
    sizes: Mapping[str, int],
    keys: Iterable[str],
) -> dict[str, Any]:
    """What PLACE_FILE says of a checkpoint: its data, the bytes of its files, its sound trials."""
    return data_mark(fingerprint) | {
        "cohort": cohort,
        "step_number": step_number,
        "sizes": dict(sizes),
        "keys": sorted(keys),
    }
