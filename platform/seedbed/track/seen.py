"""A study's state as it is found in its folder, by whoever looks at it from outside."""

from __future__ import annotations

from dataclasses import dataclass, replace

from seedbed.errors import TrackingError, nearest
from seedbed.storage.folder import Folder
from seedbed.track.state import LETTERS, PLANNED_NAME, STATE_NAME, Planned, StudyState

LATE = 4  # a driver that has missed so many times to write is lost
NUM_READ = 100  # records that are read of trials which ended after the driver last wrote


@dataclass(frozen=True)
class Seen:
    """A study's state, and how old it is. `lost`: its driver is gone without a word."""

    place: str
    planned: Planned
    state: StudyState
    age_seconds: float

    @property
    def lost(self) -> bool:
        return not self.state.over and self.age_seconds > LATE * self.state.every_seconds

    def progress(self) -> list[float]:
        """The share of its samples that each trial has seen; 1 for one that has its record."""
        shares = [1.0 if letter in "cd" else 0.0 for letter in self.state.outcomes]
        for cohort in self.state.cohorts:
            for number in cohort.trials:
                seen = min(1.0, cohort.samples / self.planned.trials[number].samples)
                shares[number] = max(shares[number], seen)
        return shares


def study_folder(storage: str, name: str) -> Folder:
    """The folder of the study `name`; of a rehearsal it is the one of its only surface.

    Raises TrackingError where no study of that name was started.
    """
    top = Folder(storage)
    store = top.sub(*name.strip("/").split("/"))
    if store.exists(STATE_NAME):
        return store
    below = [sub for sub in store.names() if store.exists(sub, STATE_NAME)]
    if len(below) == 1:
        return store.sub(*below)
    known = [f"{name}/{sub}" for sub in below] or [n for n in top.names() if not n.startswith(".")]
    raise TrackingError(
        f"no study '{name}' has written down how far it is in {top.uri}",
        why="its driver does so from its start on" if not below else "there are several of it",
        mend=f"give the --storage (SEEDBED_STORAGE) it runs with. {nearest(name, known)}",
    )


def read_state(store: Folder, known: Planned | None = None) -> Seen:
    """How far the study in `store` is. `known` is its plan, where it was read already.

    Raises TrackingError where it has not said so.
    """
    for _ in range(3):  # a start that writes both anew may come between
        found = store.read_aged(STATE_NAME)
        if found is None:
            break
        state = StudyState.from_json(found[0])
        if known is None or known.digest != state.planned:
            values = store.read_json(PLANNED_NAME)
            known = Planned.from_json(values) if values else None
        if known is not None and known.digest == state.planned:
            return Seen(store.uri, known, state, found[1])
    raise TrackingError(
        f"{store.uri} has no {STATE_NAME} with the {PLANNED_NAME} that belongs to it",
        why="they are written when a study starts",
        mend="start the study again: it goes on where it was",
    )


def settled(store: Folder, seen: Seen) -> Seen:
    """What a lost driver has not written: records that were left since, by one listing."""
    listed = store.sizes("trials")
    keys = {path.partition("/")[0] for path in listed if path.endswith("/record.json")}
    letters = list(seen.state.outcomes.replace("r", "i"))
    reasons = dict(seen.state.reasons)
    new = [n for n, t in enumerate(seen.planned.trials) if t.key in keys and letters[n] not in "cd"]
    for number in new:
        letters[number] = "c"
        if len(new) <= NUM_READ:
            record = store.read_json("trials", seen.planned.trials[number].key, "record.json") or {}
            letters[number] = LETTERS.get(record.get("status", ""), "c")
            if record.get("reason"):
                reasons[str(number)] = record["reason"]
    state = replace(seen.state, outcomes="".join(letters), reasons=reasons, cohorts=())
    return replace(seen, state=state)
