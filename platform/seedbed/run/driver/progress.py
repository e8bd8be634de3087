"""Progress while a study runs, on stderr: bars on a terminal, lines in a log."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from seedbed.metric import Metric
from seedbed.plan.cohort import Cohort
from seedbed.study.recorded import TRAIN_SECONDS

STALL = "starting"


@dataclass
class _Pace:
    """Samples a second over the last reports, without the start-up before the first."""

    marks: list[tuple[float, int]] = field(default_factory=list)

    def update(self, samples: int) -> None:
        self.marks = [*self.marks[-19:], (time.monotonic(), samples)]

    @property
    def rate(self) -> float:
        (t0, s0), (t1, s1) = self.marks[0], self.marks[-1]
        return (s1 - s0) / (t1 - t0) if t1 > t0 else 0.0


LOG_SECONDS = 30.0  # between lines on a cohort's progress where there is no terminal


class StudyProgress:
    """A bar for each cohort on a terminal; in a log, a line now and then and one for each trial.

    `timed` is False where trials are simulated: then no times are shown.
    """

    def __init__(self, total_trials: int, done_trials: int, *, timed: bool = True) -> None:
        self._timed = timed
        self._console = Console(file=sys.stderr)
        self._total, self._done = total_trials, done_trials
        self._tasks: dict[str, TaskID] = {}
        self._pace: dict[str, _Pace] = {}
        self._logged = time.monotonic()
        self._bars: Progress | None = None
        if self._console.is_terminal:
            self._bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f} %  {task.fields[note]}"),
                console=self._console,
            )
            self._bars.start()

    def begin(self, cohort: Cohort) -> None:
        """A cohort has been scheduled."""
        if self._bars is not None and cohort.id not in self._tasks:
            name = f"seed {cohort.recipe.seed} · {_variants(cohort)}"
            self._tasks[cohort.id] = self._bars.add_task(name, total=cohort.samples, note=STALL)

    def goes_on(self, cohort: Cohort, step_number: int) -> None:
        """A cohort resumes from a checkpoint of an earlier start."""
        steps = cohort.samples // cohort.recipe.budget.batch
        names = ", ".join(trial.name for trial in cohort.trials)
        self.say(f"goes on from step {step_number:,} of {steps:,}: {names}")

    def update(self, cohort: Cohort, samples: int) -> None:
        """A cohort has seen `samples` samples."""
        pace = self._pace.setdefault(cohort.id, _Pace())
        pace.update(samples)
        rate = pace.rate
        left = (cohort.samples - samples) / rate if rate else float("nan")
        # The first samples include the start of processes, and tell nothing of the pace.
        begun = self._timed and rate and samples > cohort.samples / 20
        note = f"{rate:,.0f} samples/s · {_clock(left)} left" if begun else ""
        if self._timed and not samples:
            note = STALL
        if self._bars is None:
            if time.monotonic() - self._logged >= LOG_SECONDS:
                self._logged = time.monotonic()
                share = 100 * samples / cohort.samples
                line = f"seed {cohort.recipe.seed} · {_variants(cohort)}  {share:.0f} %  {note}"
                self.say(line.rstrip())
            return
        self.begin(cohort)
        self._bars.update(self._tasks[cohort.id], completed=samples, note=note)

    def finished(self, name: str, status: str, metrics: dict[str, Any], primary: Metric) -> None:
        """A trial has ended."""
        self._done += 1
        value = metrics.get(primary.name)
        shown = "" if value is None else f"  {primary.name} {primary.text(value)}"
        seconds = metrics.get(TRAIN_SECONDS.name)
        took = "" if seconds is None or not self._timed else f"  {seconds:.0f} s"
        self.say(f"[{self._done}/{self._total}] {name}  {status}{shown}{took}")

    def say(self, line: str) -> None:
        """A line above the bars."""
        console = self._bars.console if self._bars is not None else self._console
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        if self._bars is not None:
            self._bars.stop()


def _variants(cohort: Cohort) -> str:
    return f"{len(cohort.trials)} variant{'s' if len(cohort.trials) > 1 else ''}"


def _clock(seconds: float) -> str:
    if seconds != seconds:
        return "?"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
