"""How far a study is, as its driver writes it down for whoever looks from another machine.

`planned.json` holds the trials of the last start, in order. `state.json` is written again every few
seconds: one small file, however many trials there are. `stop.json` is a request to one driver.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

from seedbed.errors import TrackingError, nearest
from seedbed.storage.folder import Folder
from seedbed.study.cell import Cell
from seedbed.study.label import Label

PLANNED_NAME, STATE_NAME, STOP_NAME = "planned.json", "state.json", "stop.json"
SCHEMA = 1
# A trial's outcome, as a letter of `StudyState.outcomes`.
LETTERS = {
    "completed": "c",
    "diverged": "d",
    "failed": "f",
    "interrupted": "i",
    "running": "r",
    "waiting": ".",
}
OUTCOMES = {letter: name for name, letter in LETTERS.items()}
# `ended` with trials missing, `stopped` by a person, `failed` by an error of the driver.
OVER = frozenset({"complete", "ended", "stopped", "failed"})
LATE = 4  # a driver that has missed so many times to write is lost
NUM_READ = 100  # records that are read of trials which ended after the driver last wrote


class PlannedTrial(NamedTuple):
    """A trial of the plan: its key, its labels in the order of the factors, and its budget."""

    key: str
    labels: tuple[Label, ...]
    seed: int
    samples: int


@dataclass(frozen=True)
class Planned:
    """The trials that a start plans, in order."""

    study: str
    variation: str
    factors: tuple[str, ...]
    trials: tuple[PlannedTrial, ...]
    run_of: str = ""  # the study's own name, where this run of it was given another

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        if not self.run_of:  # as it was before runs had names: the digest stays what it was
            del values["run_of"]
        return values

    @property
    def own_name(self) -> str:
        """The name that the study's file gives it."""
        return self.run_of or self.study

    @property
    def digest(self) -> str:
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Planned:
        trials = (PlannedTrial(key, tuple(ls), seed, n) for key, ls, seed, n in values["trials"])
        named = values["study"], values["variation"], tuple(values["factors"])
        return cls(*named, tuple(trials), values.get("run_of", ""))

    def cell(self, number: int) -> Cell:
        """Of the trial of this number."""
        return Cell(zip(self.factors, self.trials[number].labels, strict=True))

    def name(self, number: int) -> str:
        """`depth=3 s=0`, as the trial of this number is named."""
        return f"{self.cell(number)} s={self.trials[number].seed}"


@dataclass(frozen=True)
class CohortState:
    """A cohort that runs: its trials by their number in the plan, and how far it is.

    `job_seconds` are those in which it trained, `total_seconds` all since it was scheduled.
    """

    trials: tuple[int, ...]
    seed: int
    samples: int
    total_samples: int
    samples_per_second: float = 0.0
    recoveries: int = 0
    job_seconds: float = 0.0
    total_seconds: float = 0.0


@dataclass(frozen=True)
class StudyState:
    """What has become of a study, by its last driver.

    `outcomes` has a letter for each planned trial, `reasons` the words for those that failed or
    diverged, by their number, and `failures` the classes of those that failed. `job_seconds` are
    those in which something trained and `total_seconds` those in which a driver ran, of all
    `starts` together; `samples_left` are those that cohorts have not seen. `driver` are words,
    `token` names this start, `job` is its Ray job; `since` when it began (ISO 8601), and `command`
    what was typed, without what may be secret.
    """

    token: str
    driver: str
    job: str
    phase: str
    planned: str  # the digest of `planned.json`
    outcomes: str
    every_seconds: float
    words: str = ""  # of what ended it, or who stops it
    reasons: Mapping[str, str] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    cohorts: tuple[CohortState, ...] = ()
    samples_left: int = 0
    starts: int = 0
    recoveries: int = 0
    job_seconds: float = 0.0
    total_seconds: float = 0.0
    since: str = ""
    command: str = ""
    schema: int = SCHEMA

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> StudyState:
        """Raises TrackingError for the state of another version."""
        if values.get("schema") != SCHEMA:
            raise TrackingError(
                f"the study's {STATE_NAME} has the schema {values.get('schema')!r}",
                why=f"this version reads {SCHEMA}",
                mend="ask with the version of seedbed that runs the study",
            )
        cohorts = (CohortState(**c | {"trials": tuple(c["trials"])}) for c in values["cohorts"])
        return cls(**{**values, "cohorts": tuple(cohorts)})

    @property
    def over(self) -> bool:
        return self.phase in OVER

    @property
    def counts(self) -> dict[str, int]:
        """How many trials have each outcome, of those that there are."""
        found = {name: self.outcomes.count(letter) for name, letter in LETTERS.items()}
        return {name: count for name, count in found.items() if count}

    @property
    def samples_per_second(self) -> float:
        return sum(cohort.samples_per_second for cohort in self.cohorts)

    @property
    def seconds_left(self) -> float | None:
        """At the pace of what runs now; None where nothing has one yet."""
        rate = self.samples_per_second
        return None if self.over or not rate else self.samples_left / rate


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


def planned_trials(
    study: str,
    variation: str,
    trials: Sequence[tuple[str, Mapping[str, Label], int, int]],
    run_of: str = "",
) -> Planned:
    """The plan of trials given as key, cell, seed and samples."""
    factors = tuple(trials[0][1]) if trials else ()
    return Planned(
        study,
        variation,
        factors,
        tuple(
            PlannedTrial(key, tuple(cell[name] for name in factors), seed, samples)
            for key, cell, seed, samples in trials
        ),
        run_of if run_of != study else "",
    )
