"""How far a study is, as its driver writes it down for whoever looks from another machine.

`planned.json` holds the trials of the last start, in order. `state.json` is written again every few
seconds: one small file, however many trials there are. `stop.json` is a request to one driver.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from seedbed.errors import TrackingError
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
