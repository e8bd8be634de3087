"""What a cohort's checkpoint says of itself: of which data it is, and which trials are sound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from seedbed.data.order import ORDER_SCHEMA
from seedbed.errors import DataError
from seedbed.plan.plan import Cohort
from seedbed.storage.folder import Folder

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


@dataclass(frozen=True)
class Run:
    """A worker group's Ray Train run: the trials it trains, or trained last, and since when."""

    name: str
    trials: tuple[str, ...]
    since: str = ""

    def write(self, store: Folder) -> None:
        store.write_json(
            {"trials": self.trials, "since": self.since}, "cohorts", f"{self.name}.json"
        )


def runs_of(store: Folder, keys: set[str]) -> Iterator[Run]:
    """The runs that have trained some of `keys`."""
    for name in store.names("cohorts"):
        if name.endswith(".json"):
            said = store.read_json("cohorts", name)
            if keys & set(said["trials"]):
                yield Run(name.removesuffix(".json"), tuple(said["trials"]), said["since"])


def checkpoints_of(store: Folder, run: str) -> Iterator[tuple[Kept, dict[str, Any]]]:
    """The checkpoints of a run that are whole, and what each says of itself."""
    for name in store.names("cohorts", run):
        path = ("cohorts", run, name)
        if not name.startswith("checkpoint_"):
            continue
        try:
            place = store.read_json(*path, PLACE_FILE)
        except ValueError:  # cut off in the middle of a word
            continue
        if place is not None and all(
            store.num_bytes(*path, name) == n for name, n in place["sizes"].items()
        ):
            yield Kept(path, int(place["step_number"]), frozenset(place["keys"])), place


def last_of(store: Folder, cohort: Cohort, since: str) -> Kept | None:
    """The furthest checkpoint of this cohort since the start `since`, by whichever group."""
    found = [
        kept
        for run in runs_of(store, {trial.key for trial in cohort.trials})
        if run.since == since
        for kept, place in checkpoints_of(store, run.name)
        if place["cohort"] == cohort.id
    ]
    return max(found, key=lambda kept: kept.step_number, default=None)


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
