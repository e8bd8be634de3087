"""A cohort's worker groups, one after another, until it is trained or gets no further."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import ray.train

from seedbed.errors import SeedbedError, TransientError, ours
from seedbed.plan.plan import Cohort
from seedbed.storage.folder import Folder
from seedbed.storage.retry import plain, retry

MAX_FAILURES = 3  # of a cohort's workers or nodes one after another, none of them any further


def one_attempt() -> ray.train.FailureConfig:
    """Ray's own part: preempted nodes, which are nobody's fault, as often as they come.

    All else is decided in `attempts`: Ray counts over a run's whole life, and knows no error that
    trying again does not mend.
    """
    known = inspect.signature(ray.train.FailureConfig).parameters
    apart = {"max_preemption_failures": -1} if "max_preemption_failures" in known else {}
    return ray.train.FailureConfig(max_failures=0, **apart)


@dataclass(frozen=True)
class Reached:
    """How far a cohort has come, as its folder tells: its last checkpoint, its ended trials."""

    checkpoint: str
    ended: tuple[str, ...]


def reached(store: Folder, run: str, cohort: Cohort) -> Reached:
    """What the Ray Train run `run` of `cohort` has left so far.

    Raises UnavailableError where the store is away for longer than it is waited for.
    """

    def checkpoint() -> str:
        # By our own client first: it knows the errors that are the same however often one asks.
        store.names("cohorts", run)
        try:
            latest = ray.train.Result.from_path(store.place("cohorts", run)).checkpoint
        except RuntimeError:  # nothing was kept yet
            return ""
        except OSError as error:  # Ray's own file system repeats nothing
            raise TransientError(plain(error)) from error
        return latest.path if latest is not None else ""

    ended = (t.key for t in cohort.trials if store.exists("trials", t.key, "record.json"))
    return Reached(retry(checkpoint, f"looking into {store.uri}", store.server), tuple(ended))


def attempts(
    fit: Callable[[], object], look: Callable[[], Reached], most: int = MAX_FAILURES
) -> str:
    """Call `fit` until it succeeds (""), or until it is of no more use (the reason, in words).

    Each call goes on from the last checkpoint. One of our own errors ends it at once: the data or
    the study must change, or whatever passes was waited for already. Other failures end it after
    `most` + 1 in a row between which `look` saw nothing new; a failure that comes after some
    progress is the first of a new row.
    """
    failures = 0
    try:
        before = look()
        while True:
            try:
                fit()
            except ray.train.TrainingFailedError as error:
                known = ours(error)
                if known is not None:
                    return str(known)
                now = look()  # and so waits for a store that is away, which may be why
                failures = failures + 1 if now == before else 1
                before = now
                if failures > most:
                    return f"{root_cause(error)} ({failures} times without getting any further)"
            else:
                return ""
    except SeedbedError as error:
        return str(error)


def root_cause(error: BaseException | None) -> str:
    """Our own words, or the last line of what was raised, without the frames of Ray around it."""
    if error is None:
        return "the cohort's workers failed; Ray's log has the reason"
    known = ours(error)
    if known is not None:
        return str(known)
    failures = getattr(error, "worker_failures", None)
    if failures:
        error = next(iter(failures.values()))
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1][:500] if lines else type(error).__name__
