"""What a cohort's checkpoint says of itself: of which data it is, and which trials are sound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash

from seedbed.data.order import ORDER_SCHEMA
from seedbed.errors import DataError
from seedbed.plan.cohort import Cohort
from seedbed.storage.folder import Folder

CHECKPOINT_FILE = "cohort.safetensors"  # what all variants share; each has one of its own
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


def choices(store: Folder, cohort: Cohort, since: str, chosen: Kept | None = None) -> list[Kept]:
    """The checkpoints that this cohort may go on from, the furthest first.

    Its own since the start `since`, by whichever group; and the one that the driver has chosen,
    with what the same run had saved before, where that holds the same trials in a sound state.
    """
    keys = {trial.key for trial in cohort.trials}
    found: set[Kept] = set()
    for run in runs_of(store, keys):
        for kept, place in checkpoints_of(store, run.name):
            own = run.since == since and place["cohort"] == cohort.id
            earlier = chosen is not None and kept.run == chosen.run and keys <= kept.keys
            if own or (earlier and kept.step_number <= getattr(chosen, "step_number", 0)):
                found.add(kept)
    return sorted(found, key=lambda kept: (-kept.step_number, kept.path))


def read_part(store: Folder, kept: Kept, names: Iterable[str], device: Any) -> dict[str, Any]:
    """The files `names` of a checkpoint, read onto `device`.

    Raises DataError, naming the file, where one is not what was written: a changed number would
    pass for a trained one.
    """
    from safetensors import SafetensorError

    from seedbed.interchange.state_file import read_state  # which imports torch

    digests = (store.read_json(*kept.path, PLACE_FILE) or {}).get("digests", {})
    read: dict[str, Any] = {}
    for name in names:
        with store.as_file(*kept.path, name) as file:
            try:
                if name in digests and digest_of(file) != digests[name]:
                    raise ValueError("its digest is another than when it was written")
                read[name] = read_state(file, device)
            # Of the file, not of the machine: memory or a disk that fails says nothing of it.
            except (SafetensorError, ValueError, KeyError, FileNotFoundError) as error:
                raise DataError(
                    f"the checkpoint {store.place(*kept.path, name)} is not what was written",
                    why=f"{type(error).__name__}: {error}",
                    mend="nothing is to be done: the trials go on from the one before it, or from "
                    "their start",
                ) from None
    return read


def digest_of(path: Path) -> str:
    """32 hex digits of a file's bytes, at the pace of the disk."""
    seen = xxhash.xxh3_128()
    with path.open("rb") as file:
        while part := file.read(1 << 22):
            seen.update(part)
    return seen.hexdigest()


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
    return f"variant-{key}.safetensors"


def place_of(
    cohort: str,
    *,
    fingerprint: str,
    step_number: int,
    sizes: Mapping[str, int],
    keys: Iterable[str],
    digests: Mapping[str, str],
) -> dict[str, Any]:
    """What PLACE_FILE says of a checkpoint: its data, its files' sizes and digests, its sound
    trials."""
    return data_mark(fingerprint) | {
        "cohort": cohort,
        "step_number": step_number,
        "sizes": dict(sizes),
        "digests": dict(digests),
        "keys": sorted(keys),
    }
