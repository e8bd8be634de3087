"""Follows a study for `track/state.py`: what has become of each trial, and at what pace."""

from __future__ import annotations

import shlex
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import ray.tune

from seedbed.cluster.own_job import own_job
from seedbed.errors import failure_in
from seedbed.plan.cohort import Cohort
from seedbed.plan.plan import Plan
from seedbed.run.driver.outcome import Outcome
from seedbed.run.driver.resume import Start
from seedbed.run.worker import stopping
from seedbed.run.worker.message import Message
from seedbed.storage.held import Holder
from seedbed.track.mlflow.address import redacted
from seedbed.track.state import LETTERS, CohortState, StudyState, planned_trials

NUM_MARKS = 20  # reports that a pace is taken from
MAX_REASONS, MAX_LETTERS = 500, 300  # that are told, and of each


@dataclass
class _Followed:
    """A cohort that was scheduled."""

    cohort: Cohort
    began: float
    samples: int = 0
    last: float | None = None  # when it last reported
    job_seconds: float = 0.0
    recoveries: int = 0
    marks: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=NUM_MARKS))

    @property
    def rate(self) -> float:
        if len(self.marks) < 2:
            return 0.0
        (t0, s0), (t1, s1) = self.marks[0], self.marks[-1]
        return (s1 - s0) / (t1 - t0) if t1 > t0 else 0.0


class Live(ray.tune.Callback):
    """What a study's driver knows of it; asked for its `state` by another thread.

    `before` is the state that the last start left.
    """

    def __init__(self, plan: Plan, before: StudyState | None = None) -> None:
        self.token = uuid.uuid4().hex
        self.phase, self.words, self.trains = "preparing", "", False
        me = Holder.myself()
        self.stop_asked = ""  # by the driver itself, and why
        self._driver, self._since, self._job = str(me), me.since, own_job()
        self._command = shlex.join(["python", *map(redacted, sys.argv)])
        self._plans(plan)
        self._before = before if before is not None and before.planned == self._mark else None
        self._outcome = Outcome()
        self._cohorts: dict[str, Cohort] = {}
        self._running: dict[str, _Followed] = {}
        self._left: dict[str, int] = {}  # samples that each cohort of this start has not seen
        self._recoveries, self._job_seconds, self._covered = 0, 0.0, 0.0
        self._began: float | None = None
        self._ended: float | None = None
        self._lock = threading.Lock()

    def _plans(self, plan: Plan) -> None:
        trials = [(t.key, t.cell, t.seed, t.recipe.budget.samples) for t in plan.trials]
        study = plan.study
        self.planned = planned_trials(study.name, plan.variation, trials, study.own_name)
        self._mark = self.planned.digest
        self._numbers = {trial.key: number for number, trial in enumerate(plan.trials)}

    def turns_to(self, plan: Plan, words: str) -> None:
        """What follows is another part of the study: a round of a search, or the comparison."""
        with self._lock:
            self._plans(plan)
            self._outcome, self.words = Outcome(), words
            self._cohorts, self._running, self._left = {}, {}, {}

    def __reduce__(self) -> tuple[object, ...]:
        return (ray.tune.Callback, ())  # as the Watcher's

    def knows(self, outcome: Outcome) -> None:
        """What became of trials at earlier starts; it may be more by the minute."""
        with self._lock:
            self._outcome = outcome

    def follow(self, outcome: Outcome, starts: Sequence[Start], *, trains: bool = True) -> None:
        """Cohorts are about to run; what becomes of their trials is in `outcome`.

        `trains` is False where they pretend.
        """
        with self._lock:
            self.trains = trains
            self._outcome, self.phase = outcome, "running"
            self._began = self._covered = time.monotonic()
            for start in starts:
                cohort = start.cohort
                steps = start.kept.step_number if start.kept else 0
                self._cohorts[cohort.id] = cohort
                self._left[cohort.id] = cohort.samples - steps * cohort.recipe.budget.batch

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        with self._lock:
            id = trial.config["cohort"]
            if id not in self._running:  # else its holder was lost, and another one has it
                self._running[id] = _Followed(self._cohorts[id], time.monotonic())

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        message = Message.from_report(result)
        with self._lock:
            one = self._running.get(trial.config["cohort"])
            if message is not None and one is not None:
                self._report(one, message)

    def _report(self, one: _Followed, message: Message) -> None:
        """Time counts from one report to the next, unless workers were lost in between.

        Those that take over report where they go on from, which is no further than was seen; after
        a cohort's last samples it is the next of its parts that begins.
        """
        now = time.monotonic()
        if one.last is not None:
            ended = {trial.key for trial in one.cohort.trials} <= set(message.finished)
            if not ended and message.samples <= one.samples < one.cohort.samples:
                one.recoveries += 1
                self._recoveries += 1
                one.marks.clear()
            else:
                one.job_seconds += now - one.last
                self._job_seconds += now - max(one.last, self._covered)
                self._covered = now
        one.last, one.samples = now, message.samples
        one.marks.append((now, message.samples))
        self._left[one.cohort.id] = max(0, one.cohort.samples - message.samples)

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        with self._lock:
            self._running.pop(trial.config["cohort"], None)
            self._left.pop(trial.config["cohort"], None)

    on_trial_error = on_trial_complete

    def asks_to_stop(self, why: str) -> None:
        """The heartbeat is to stop the study as somebody's request would."""
        self.stop_asked = why

    def all_left(self) -> bool:
        """Whether the workers of every cohort that runs have saved and left."""
        with self._lock:
            running = list(self._running)
        return all(stopping.has_left(self.token, cohort) for cohort in running)

    def writes_report(self) -> None:
        """Nothing trains any more."""
        with self._lock:
            self.phase, self._ended = "reporting", time.monotonic()

    def end(self, phase: str, words: str = "") -> None:
        """The study has ended."""
        with self._lock:
            self.phase, self.words = phase, words or self.words
            self._ended = self._ended or time.monotonic()

    def state(self, every_seconds: float) -> StudyState:
        """The study as it is now, written every so often."""
        with self._lock:
            now = self._ended or time.monotonic()
            running = [] if self._ended else list(self._running.values())
            before = self._before
            seconds = now - self._began if self._began is not None else 0.0
            return StudyState(
                token=self.token,
                driver=self._driver,
                job=self._job,
                phase=self.phase,
                planned=self._mark,
                outcomes=self._letters(running),
                every_seconds=every_seconds,
                words=self.words,
                since=self._since,
                command=self._command,
                reasons=self._reasons(),
                failures=self._failures(),
                cohorts=tuple(self._told(one, now) for one in running),
                samples_left=0 if self._ended else sum(self._left.values()),
                starts=(before.starts if before else 0) + (self._began is not None),
                recoveries=(before.recoveries if before else 0) + self._recoveries,
                job_seconds=(before.job_seconds if before else 0.0) + self._job_seconds,
                total_seconds=(before.total_seconds if before else 0.0) + seconds,
            )

    def _letters(self, running: Sequence[_Followed]) -> str:
        on = {trial.key for one in running for trial in one.cohort.trials}
        return "".join(LETTERS[self._outcome_of(key, key in on)] for key in self._numbers)

    def _outcome_of(self, key: str, runs: bool) -> str:
        outcome = self._outcome
        if (record := outcome.records.get(key)) is not None:
            return record.status
        if key in outcome.reasons:
            return "interrupted" if key in outcome.stopped else "failed"
        return "running" if runs else "waiting"

    def _reasons(self) -> dict[str, str]:
        told: dict[str, str] = {}
        for key, number in self._numbers.items():
            record = self._outcome.records.get(key)
            words = record.reason if record is not None else self._outcome.reasons.get(key, "")
            if words and len(told) < MAX_REASONS:
                told[str(number)] = words[:MAX_LETTERS]
        return told

    def _failures(self) -> dict[str, str]:
        reasons = self._outcome.reasons
        found = {key: failure_in(reasons[key]) for key in self._outcome.failed}
        return {
            str(self._numbers[key]): failure
            for key, failure in found.items()
            if failure and key in self._numbers
        }

    def _told(self, one: _Followed, now: float) -> CohortState:
        return CohortState(
            trials=tuple(self._numbers[trial.key] for trial in one.cohort.trials),
            seed=one.cohort.recipe.seed,
            samples=one.samples,
            total_samples=one.cohort.samples,
            samples_per_second=one.rate,
            recoveries=one.recoveries,
            job_seconds=one.job_seconds,
            total_seconds=now - one.began,
        )
