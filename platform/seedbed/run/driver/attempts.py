"""Retries a cohort's training until it is complete or makes no more progress."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import ray.exceptions
import ray.train
from ray.train.v2._internal.exceptions import RayTrainError, UserExceptionWithTraceback

from seedbed.errors import (
    INFRASTRUCTURE,
    OUT_OF_MEMORY,
    OWN_ERROR,
    CohortTooLargeError,
    Reason,
    SeedbedError,
    TransientError,
    ours,
    reason_of,
)
from seedbed.failure import causes, failure_of
from seedbed.plan.cohort import Cohort
from seedbed.storage.folder import Folder
from seedbed.storage.retry import plain, retry

MAX_FAILURES = 3  # of a cohort's workers or nodes in a row, without any progress between
MAX_OWN_FAILURES = 1  # by what workers raised themselves: twice the same is no accident
# After the end of a node that had notice: workers elsewhere may end the upload of their part of a
# checkpoint, whose other parts are there. They wait as long where it cannot be completed.
GRACE_SECONDS = 10.0


def one_attempt() -> ray.train.FailureConfig:
    """Ray's own retries: for preempted nodes only, without a limit.

    Workers that have notice leave by themselves, without a failure; these are of those that did
    not get that far. All else is decided in `attempts`: Ray counts failures over a run's whole
    life, and would retry permanent errors too.
    """
    known = inspect.signature(ray.train.FailureConfig).parameters
    wanted = {"max_preemption_failures": -1, "preemption_grace_s": GRACE_SECONDS}
    apart = {name: value for name, value in wanted.items() if name in known}
    return ray.train.FailureConfig(max_failures=0, **apart)


@dataclass(frozen=True)
class Reached:
    """How far a cohort has come, by its folder: its last checkpoint and its ended trials."""

    checkpoint: str
    ended: tuple[str, ...]


def reached(store: Folder, run: str, cohort: Cohort) -> Reached:
    """What the Ray Train run `run` of `cohort` has left so far.

    Raises UnavailableError where the store is unreachable for longer than it is retried.
    """

    def checkpoint() -> str:
        # By our own client first: it tells permanent errors from transient ones.
        store.names("cohorts", run)
        try:
            latest = ray.train.Result.from_path(store.place("cohorts", run)).checkpoint
        except RuntimeError:  # nothing was kept yet
            return ""
        except OSError as error:  # Ray's own file system retries nothing
            raise TransientError(plain(error)) from error
        return latest.path if latest is not None else ""

    ended = (t.key for t in cohort.trials if store.exists("trials", t.key, "record.json"))
    return Reached(retry(checkpoint, f"looking into {store.uri}", store.server), tuple(ended))


def attempts(
    fit: Callable[[int], object],
    look: Callable[[], Reached],
    most: int = MAX_FAILURES,
    say: Callable[[str], object] = lambda words: None,
) -> Reason:
    """Call `fit` until it succeeds (""), or until retrying is pointless (the reason, in words).

    It is given how often it was called before. Each call resumes from the last checkpoint. A
    SeedbedError ends it at once: the data or the study must change, or transient errors were
    retried already. Other failures end it after `most` + 1 in a row without progress, as `look`
    sees it, or where workers have raised the same error of their own once more, or have run out of
    memory once more; progress resets the count. A CohortTooLargeError is raised: less may be
    trained at a time. `say` is told why each other call follows.
    """
    failures = retries = 0
    last = ""
    try:
        before = look()
        while True:
            try:
                fit(retries)
            except ray.train.TrainingFailedError as error:
                known = ours(error)
                if isinstance(known, CohortTooLargeError):
                    raise known from error
                if known is not None:
                    return Reason(str(known), known.failure, retries + 1)
                now = look()  # waits for an unreachable store too, which may be the cause
                failures = failures + 1 if now == before else 1
                before = now
                words, kind = root_cause(error), failure_by(error)
                own = _of_their_own(error)
                again = own and own == last
                if failures > (min(most, MAX_OWN_FAILURES) if again else most):
                    words = f"{words} ({failures} times without getting any further)"
                    return Reason(words, kind, retries + 1)
                last = own
                retries += 1
                say(words)
            else:
                return Reason("")
    except CohortTooLargeError:
        raise
    except SeedbedError as error:
        return reason_of(error)


def failure_by(error: BaseException) -> str:
    """The class of the failure that ended workers; a lost process is its node's memory's, where
    Ray's monitor has ended it for that."""
    if not is_loss(error):
        return failure_of(_telling(error))
    return OUT_OF_MEMORY if _by_monitor(error) else INFRASTRUCTURE


def _of_their_own(error: BaseException) -> str:
    """What workers have raised that would come again: its words, or that they are out of memory,
    whose words hold the numbers of the moment. "" where machines have ended them, or Ray's monitor
    of a node's memory, which others fill too."""
    if is_loss(error) or _by_monitor(error):
        return ""
    kind = failure_by(error)
    return root_cause(error) if kind == OWN_ERROR else kind if kind == OUT_OF_MEMORY else ""


def _by_monitor(error: BaseException) -> bool:
    return any(isinstance(link, ray.exceptions.OutOfMemoryError) for link in causes(error))


def _telling(error: BaseException) -> BaseException:
    """Of what several workers raised, what the others' errors follow from: those that wait for it
    in a collective lose their connection."""
    failures = dict(getattr(error, "worker_failures", None) or {}).values()
    return next((one for one in failures if failure_of(one) != INFRASTRUCTURE), error)


def is_loss(error: BaseException) -> bool:
    """Whether processes or nodes were lost; False where all that failed raised an error.

    When one rank is lost the others raise errors too, of what they exchanged with it. Ray tells of
    what a worker's own code raised as it is, and of what became of its process in types of its own.
    """
    failures = getattr(error, "worker_failures", None) or {}
    return not failures or any(map(_is_of_ray, failures.values()))


def _is_of_ray(failure: object) -> bool:
    raised = isinstance(failure, UserExceptionWithTraceback | ray.exceptions.RayTaskError)
    return isinstance(failure, RayTrainError | ray.exceptions.RayError) and not raised


def root_cause(error: BaseException | None) -> str:
    """The SeedbedError's text, or the last line of the error, without Ray's frames around it."""
    if error is None:
        return "the cohort's workers failed; Ray's log has the reason"
    known = ours(error)
    if known is not None:
        return str(known)
    telling = error if is_loss(error) else _telling(error)
    failures = getattr(telling, "worker_failures", None)
    error = next(iter(failures.values())) if failures else telling
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1][:500] if lines else type(error).__name__
