"""Follows running cohorts: passes their reports to the ledger and to the progress bars."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import ray.tune

from seedbed.data.corpus import Corpus
from seedbed.errors import INFRASTRUCTURE, Reason
from seedbed.failure import said
from seedbed.plan.cohort import Cohort
from seedbed.plan.plan import Plan
from seedbed.run.driver.attempts import root_cause
from seedbed.run.driver.failures import note_attempts
from seedbed.run.driver.outcome import Outcome, failed, record_files
from seedbed.run.driver.progress import StudyProgress
from seedbed.run.driver.resume import Start
from seedbed.run.worker.message import Message
from seedbed.storage.folder import Folder
from seedbed.study.record import TrialRecord
from seedbed.track.ledger import Ledger, TrialEntry


class Watcher(ray.tune.Callback):
    """Passes what cohorts report to the ledger and to the progress bars."""

    def __init__(
        self,
        plan: Plan,
        store: Folder,
        ledger: Ledger,
        progress: StudyProgress,
        outcome: Outcome,
        starts: Sequence[Start],
        data: Mapping[Corpus, str],
    ) -> None:
        self.plan, self.store, self.ledger = plan, store, ledger
        self.progress, self.outcome = progress, outcome
        self.starts = {start.cohort.id: start for start in starts}
        self.data = data  # the fingerprint of each corpus; none where trials only pretend
        self._opened: set[str] = set()
        self._noted: set[tuple[str, str]] = set()
        self._steps: dict[str, int] = {}  # the last that each was seen at
        # Why a cohort ended early and was retried, by its id, as the holder of its workers knows.
        self.told_of: Callable[[str], tuple[dict[str, Reason], list[str]]] = lambda _: ({}, [])
        self.failed_attempts: dict[str, int] = {}  # of each trial, with those of earlier starts
        # How many failures stop the study (0: none does), and how it is stopped.
        self.most_failures = 0
        self.end: Callable[[str], object] = lambda words: os.kill(os.getpid(), signal.SIGINT)

    def __reduce__(self) -> tuple[object, ...]:
        # The Tuner pickles its callbacks to be restored one day; ours live with the driver.
        return (ray.tune.Callback, ())

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        start = self.starts[trial.config["cohort"]]
        cohort = start.cohort
        self.progress.begin(cohort)
        if start.kept is not None:
            self.progress.goes_on(cohort, start.kept.step_number)
            self._steps |= dict.fromkeys((t.key for t in cohort.trials), start.kept.step_number)
        for member in cohort.trials:
            if member.key in self.outcome.records:
                continue
            self._opened.add(member.key)
            self.ledger.open_trial(
                TrialEntry(
                    key=member.key,
                    cell=member.cell,
                    seed=member.seed,
                    cohort=cohort.id,
                    recipe=member.recipe.flatten(),
                    data=self.data.get(member.recipe.corpus, ""),
                )
            )

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        cohort = self.starts[trial.config["cohort"]].cohort
        message = Message.from_report(result)
        if message is None:
            return
        if message.note and (cohort.id, message.note) not in self._noted:
            self._noted.add((cohort.id, message.note))
            self.progress.say(f"parts   {message.note}")
        self.progress.update(cohort, message.samples)
        steps = message.samples // cohort.recipe.budget.batch
        self._steps |= {
            t.key: min(steps, t.recipe.budget.steps)
            for t in cohort.trials
            if t.key in message.keys or not message.keys
        }
        for point in message.points:
            self.ledger.log(point.key, point.samples, point.metrics)
        for key in message.finished:
            self._finish(cohort, key)

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        told, retried = self.told_of(trial.config["cohort"])
        for number, why in enumerate(retried, 1):
            names = ", ".join(t.name for t in self.starts[trial.config["cohort"]].cohort.trials)
            self.progress.say(f"retried {names} ({number}): {why}")
        self._settle(trial, told, Reason("the cohort ended without a record of it"))

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        # Its holder is lost: what workers raise is told by it.
        why = root_cause(getattr(trial, "get_error", lambda: None)())
        self._settle(trial, {}, Reason(why, INFRASTRUCTURE))

    def _settle(self, trial: Any, told: Mapping[str, Reason], reason: Reason) -> None:
        """Settle by the results folder: a report may be lost with its worker, a record may not."""
        cohort = self.starts[trial.config["cohort"]].cohort
        for member in cohort.trials:
            self._finish(cohort, member.key, at_the_end=True)
        self._fail(cohort, told, reason)
        if self.failed_attempts:
            note_attempts(self.store, self.failed_attempts)
        self._check_limit()

    def _finish(self, cohort: Cohort, key: str, *, at_the_end: bool = False) -> None:
        """Take up what trial `key` has left.

        One that has failed is looked at again `at_the_end` alone: each report, one a second, names
        all that have ended so far.
        """
        if key in self.outcome.records or (key in self.outcome.reasons and not at_the_end):
            return
        for name in ("record.json", "failure.json"):
            values = self.store.read_json("trials", key, name)
            if values is not None:
                break
        else:
            return
        record = TrialRecord.from_json(values)
        if record.status == "failed":
            if key in self.outcome.reasons:
                return
            self.outcome.reasons[key] = Reason(record.reason, record.failure)
            self._count(key, record.attempt)
        else:
            # It may have failed before, and gone on from a checkpoint of the time before that.
            self.outcome.reasons.pop(key, None)
            self.outcome.records[key] = record
        name = next(t.name for t in cohort.trials if t.key == key)
        primary = self.plan.metrics[self.plan.responses[0]]
        self.progress.finished(name, record.status, dict(record.metrics), primary)
        self.ledger.finish(record, record_files(self.store, key))

    def _fail(self, cohort: Cohort, told: Mapping[str, Reason], otherwise: Reason) -> None:
        if self.outcome.interrupted:
            return
        for member in cohort.trials:
            if member.key in self.outcome.records or member.key in self.outcome.reasons:
                continue
            reason = told.get(member.key, otherwise)
            self.outcome.reasons[member.key] = reason
            attempt = self.failed_attempts.get(member.key, 0) + 1
            if member.key in told:  # with those of earlier starts
                attempt = reason.attempts
            self._count(member.key, attempt)
            kind = f" ({said(reason.failure)})" if reason.failure else ""
            self.progress.say(f"{member.name}  failed{kind}: {reason}")
            self.ledger.finish(failed(self.plan, member, cohort.id, reason, attempt))

    def _count(self, key: str, attempt: int) -> None:
        self.failed_attempts[key] = self.outcome.attempts[key] = attempt

    def _check_limit(self) -> None:
        """Stop the study where as many trials have failed as it was told."""
        num_failed, most = len(self.outcome.failed), self.most_failures
        if most and num_failed >= most and not self.outcome.limit and not self.outcome.interrupted:
            self.outcome.limit = (
                f"{num_failed:,} of {len(self.plan.trials):,} trials have failed, and "
                f"--max-failures lets {most:,} end the study"
            )
            self.progress.say(f"limit   {self.outcome.limit}")
            self.end(self.outcome.limit)

    @property
    def unsettled(self) -> bool:
        """Whether a trial that was started has neither ended nor failed."""
        ended = self.outcome.records.keys() | self.outcome.reasons.keys()
        return bool(self._opened - ended)

    def stop(self) -> None:
        """The study was stopped: what has started is interrupted, not failed."""
        self.outcome.interrupted = True
        for key in self._opened:
            if key not in self.outcome.records and key not in self.outcome.reasons:
                self.ledger.interrupt(key, "the study was stopped")
                self.outcome.stopped.add(key)
                steps = self._steps.get(key, 0)
                self.outcome.reasons[key] = (
                    f"stopped, last heard of at step {steps:,}; the same command goes on"
                )


@contextmanager
def stoppable(watcher: Watcher, checkpoint_seconds: float | None) -> Iterator[None]:
    """Ctrl-C and SIGTERM (a job's stop) end a study: printed at once, trials become interrupted.

    After Ctrl-C Tune ends its step and stops its workers; after SIGTERM the sender does, who is
    about to kill the driver. A second signal of either kind ends the driver at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: Any) -> None:
        # A signal handler: the thread may be inside a print or hold a lock, so nothing here may
        # need one.
        if watcher.outcome.interrupted:
            os.write(2, b"stopped at once; the same command goes on\n")
            os._exit(128 + signum)
        watcher.outcome.interrupted = True
        os.write(2, stopping_words(checkpoint_seconds).encode())
        end_tune = signal.getsignal(signal.SIGUSR1)
        if signum == signal.SIGINT and callable(end_tune) and end_tune != before[signal.SIGUSR1]:
            end_tune(signum, frame)
        else:
            raise KeyboardInterrupt

    # Tune handles Ctrl-C without a word; its handler of SIGUSR1 does the same, and is called above.
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    before: dict[signal.Signals, Any] = {signal.SIGUSR1: signal.getsignal(signal.SIGUSR1)}
    before |= {name: signal.signal(name, stop) for name in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
        if watcher.unsettled:  # Tune ends its step, and returns as if all were well
            watcher.stop()
    except KeyboardInterrupt:
        watcher.stop()
    finally:
        for name, handler in before.items():
            if handler is not None:  # None: not set by Python, which cannot restore it
                signal.signal(name, handler)


def stopping_words(checkpoint_seconds: float | None) -> str:
    """What a stop does, at the moment when it is asked for."""
    apart = "as far apart as their cost asks for"
    if checkpoint_seconds is not None:
        apart = f"about {checkpoint_seconds:g} s apart"
    return (
        "\nstopping: workers end where they are, and a report is written of what there is.\n"
        f"The same command goes on from the last checkpoints, which are {apart}.\n"
        "Press again to stop at once, without a report.\n"
    )
