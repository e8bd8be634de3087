"""The interface between running and tracking: a ledger, and the entries that it takes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from seedbed.plan.design import Design
from seedbed.study.cell import Cell
from seedbed.study.record import TrialRecord, Value, split_finite


@dataclass(frozen=True)
class StudyEntry:
    """A study at one scale, on one corpus.

    `params` are the constants of the recipe; `tags` go on the study's run and on every trial's
    (`seedbed.data_fingerprint`, `mlflow.source.name`, `mlflow.source.git.commit`).
    """

    study: str
    scale: str
    question: str
    design: Design
    params: Mapping[str, Value] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    storage: str = ""  # the mark of its results folder

    @property
    def identity(self) -> str:
        """16 hex digits of (study, scale, data uri, overrides): what makes it the same study.

        Seeds are not among them: more seeds continue a study, other overrides begin another. The
        same study into another results folder has another run, found by `storage` beside this.
        """
        design = self.design
        parts = [self.study, self.scale, design.data.uri, dict(design.overrides)]
        text = json.dumps(parts, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def view(self) -> str:
        """The key of the study's views on its experiment."""
        return view_key(self.identity, self.storage)

    @property
    def planned(self) -> tuple[str, ...]:
        """The keys of all planned trials."""
        return tuple(trial.key for trial in self.design.trials)


def view_key(identity: str, storage: str) -> str:
    """The key of the views of the study `identity` in the results folder marked `storage`."""
    return f"{identity}-{storage}" if storage else identity


@dataclass(frozen=True)
class TrialEntry:
    """One trial as it starts: its cell, and its resolved recipe flattened by path.

    `data` marks the data that it trains on: what a ledger has of the same key on other data is
    another trial's, and is kept apart.
    """

    key: str
    cell: Cell
    seed: int
    cohort: str
    recipe: Mapping[str, Value] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    data: str = ""


@dataclass(frozen=True)
class Remote:
    """A small file that lies elsewhere: its size identifies it, `read` gets it."""

    num_bytes: int
    read: Callable[[], bytes]


File = Path | Remote


@dataclass(frozen=True)
class Unsent:
    """What a ledger could not keep, for people, and why. False when everything was kept.

    `keys` are the trials concerned; a later `finish` with their records completes them.
    """

    what: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    reason: str = ""

    def __bool__(self) -> bool:
        return bool(self.what)


class Ledger(Protocol):
    """Where a study is written down. No method waits on a network, and none but `close` waits.

    `open_study` comes first and once. Every call is idempotent: a ledger holds one entry for a key
    and one value for a metric and step, however often the driver restarts.
    """

    def open_study(self, entry: StudyEntry) -> None:
        """Begin the study, or continue it when it is known; mark what ran before as over."""

    def open_trial(self, entry: TrialEntry) -> None:
        """Begin a trial, or continue it when its key is known."""

    def log(self, key: str, samples: int, metrics: Mapping[str, float]) -> None:
        """A point of a trial's curve. Never blocks or raises; drops non-finite values."""

    def finish(self, record: TrialRecord, files: Mapping[str, File] | None = None) -> None:
        """Write down a trial's outcome, whatever is missing of it: idempotent.

        `files` maps the artifact's path (`examples/imagenet.parquet`) to the file.
        """

    def interrupt(self, key: str, reason: str) -> None:
        """A trial stops here and may be resumed later; one that has ended is not changed."""

    def attach(self, files: Mapping[str, Path], *, analysis: str = "") -> None:
        """Files for the study's own run, or for its child run of the name `analysis`."""

    def close(self, timeout_s: float = 60.0) -> Unsent:
        """Send what is left, for at most `timeout_s`, and say what could not be. Never raises."""


class InMemoryLedger:
    """A ledger of plain dictionaries that behaves like MLflow's: for tests and dry runs.

    `statuses` holds running, interrupted or the record's status for each key.
    """

    def __init__(self) -> None:
        self.studies: list[StudyEntry] = []
        self.trials: dict[str, TrialEntry] = {}
        self.points: dict[str, dict[int, dict[str, float]]] = {}
        self.records: dict[str, TrialRecord] = {}
        self.files: dict[str, dict[str, File]] = {}
        self.statuses: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        self.closed = False

    def open_study(self, entry: StudyEntry) -> None:
        self.studies.append(entry)
        for key, status in self.statuses.items():
            if status == "running":
                self.interrupt(key, "the driver ended before the trial")

    def open_trial(self, entry: TrialEntry) -> None:
        known = self.trials.get(entry.key)
        if known is not None and known.data != entry.data:
            self.points.pop(entry.key, None)
            self.files.pop(entry.key, None)
        self.trials[entry.key] = entry
        self.statuses[entry.key] = "running"

    def log(self, key: str, samples: int, metrics: Mapping[str, float]) -> None:
        step = self.points.setdefault(key, {}).setdefault(samples, {})
        for name, value in split_finite(metrics)[0].items():
            step.setdefault(name, value)

    def finish(self, record: TrialRecord, files: Mapping[str, File] | None = None) -> None:
        for point in record.curve:
            values = {name: value for name, value in point.items() if name != "samples"}
            self.log(record.key, int(point["samples"]), values)
        self.records[record.key] = record
        self.statuses[record.key] = record.status
        self.reasons[record.key] = record.reason
        self.files.setdefault(record.key, {}).update(files or {})

    def interrupt(self, key: str, reason: str) -> None:
        if self.statuses.get(key) == "running":
            self.statuses[key], self.reasons[key] = "interrupted", reason

    def attach(self, files: Mapping[str, Path], *, analysis: str = "") -> None:
        self.files.setdefault(analysis, {}).update(files)

    def close(self, timeout_s: float = 60.0) -> Unsent:
        self.closed = True
        for key in self.statuses:
            self.interrupt(key, "the study was closed before the trial ended")
        return Unsent()
