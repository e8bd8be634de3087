"""What can go wrong, and how each says so.

    Exception
    ├── SeedbedError               what a person can mend
    │   ├── StudyError             the study, a recipe or an argument is wrong
    │   │   └── AnalysisError      the trials table, or what was asked of it, allows no answer
    │   ├── StudyHeldError         another process is running the study
    │   ├── DataError              a corpus or a folder of results cannot be read or written
    │   │   └── UnavailableError   storage did not answer for longer than it is retried
    │   ├── TooManyFailuresError   so many trials have failed that the study stops
    │   ├── ResourceError          the cluster can never hold what was asked for
    │   │   ├── ClusterAwayError   it does not answer, or was lost
    │   │   ├── TooLargeError      a variant fits no device of it
    │   │   └── CohortTooLargeError    its variants do not fit their devices together, but fewer do
    │   └── TrackingError          the tracking server cannot be used as stated
    │       └── TrackingAwayError  it does not answer
    ├── TransientError             one request failed and may succeed when repeated: see `retry`
    └── SampleFault                one sample cannot be used: counted, never fatal by itself

Every SeedbedError says what is wrong (with the offending value), why it matters, and how to mend
it. They are raised before anything expensive starts, unless the fault shows only then. The last
two never reach a person: they are caught where the request or the sample is.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# What a trial that did not complete ended by: `failure.py` has the words, and tells them apart.
DIVERGED, OUT_OF_MEMORY, BAD_DATA = "diverged", "out_of_memory", "bad_data"
INFRASTRUCTURE, OWN_ERROR = "infrastructure", "own_error"


class SeedbedError(Exception):
    """Base of all errors that a person can mend.

    `what` names the fault and the offending value, `why` the reason, `mend` the way out; `failure`
    is the class that a trial fails by.
    """

    failure = OWN_ERROR

    @property
    def passing(self) -> bool:
        """Whether it lies with the infrastructure: the same command may go on later."""
        return self.failure == INFRASTRUCTURE

    def __init__(self, what: str, *, why: str = "", mend: str = "") -> None:
        self.what, self.why, self.mend = what, why, mend
        lines = [what]
        if why:
            lines.append(f"  why:  {why}")
        if mend:
            lines.append(f"  mend: {mend}")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions pickle by `args`, which hold the joined text; workers must send the parts.
        return (_rebuild, (type(self), self.what, self.why, self.mend))


def _rebuild(kind: type[SeedbedError], what: str, why: str, mend: str) -> SeedbedError:
    return kind(what, why=why, mend=mend)


class StudyError(SeedbedError):
    """The study, a recipe or an argument is wrong."""


class AnalysisError(StudyError):
    """The trials table, or what was asked of it, allows no answer."""


class StudyHeldError(SeedbedError):
    """Another process is running the study into the same folder; nothing is wrong with it."""

    failure = INFRASTRUCTURE


class DataError(SeedbedError):
    """A corpus or a folder of results cannot be read or written as stated."""

    failure = BAD_DATA


class UnavailableError(DataError):
    """Storage that stayed unreachable, slow or failing for longer than requests are retried."""

    failure = INFRASTRUCTURE


class ResourceError(SeedbedError):
    """The cluster can never hold what was asked for."""


class ClusterAwayError(ResourceError):
    """The cluster does not answer, or was lost."""

    failure = INFRASTRUCTURE


class TooLargeError(ResourceError):
    """A variant fits no device that it can have."""

    failure = OUT_OF_MEMORY


class CohortTooLargeError(ResourceError):
    """A cohort's variants do not fit their devices side by side; `fitting` to a device do.

    It is met while a cohort is begun, which is then trained in parts.
    """

    failure = OUT_OF_MEMORY

    def __init__(self, what: str, *, why: str = "", mend: str = "", fitting: int = 1) -> None:
        super().__init__(what, why=why, mend=mend)
        self.fitting = fitting

    def __reduce__(self) -> tuple[object, ...]:
        return (_too_large, (self.what, self.why, self.mend, self.fitting))


def _too_large(what: str, why: str, mend: str, fitting: int) -> CohortTooLargeError:
    return CohortTooLargeError(what, why=why, mend=mend, fitting=fitting)


class TooManyFailuresError(SeedbedError):
    """So many of a study's trials have failed that it stops, as it was told to."""


class TrackingError(SeedbedError):
    """The tracking server cannot be used as stated."""


class TrackingAwayError(TrackingError):
    """The tracking server does not answer."""

    failure = INFRASTRUCTURE


class TransientError(Exception):
    """A request failed and may succeed when repeated; `unreachable` where no server answered."""

    def __init__(self, text: str, *, unreachable: bool = False) -> None:
        super().__init__(text)
        self.unreachable = unreachable


class SampleFault(Exception):  # noqa: N818 - a fault is counted, an error stops
    """One sample cannot be used; the message is the reason that the trial's record keeps."""


class Reason(str):
    """Why a trial ended without completing, in words; the class of its `failure`, and how many
    `attempts` came to that."""

    failure: str
    attempts: int

    def __new__(cls, words: str, failure: str = "", attempts: int = 1) -> Reason:
        reason = super().__new__(cls, words)
        reason.failure, reason.attempts = failure, attempts
        return reason

    def __getnewargs__(self) -> tuple[str, str, int]:  # type: ignore[override]
        return str(self), self.failure, self.attempts  # Ray pickles it


def reason_of(error: SeedbedError) -> Reason:
    """The error's text, as a reason."""
    return Reason(str(error), error.failure)


def failure_in(reason: str | None) -> str:
    """The class of the failure that `reason` is of, "" where it says none."""
    return getattr(reason, "failure", "")


def ours(error: BaseException | None) -> SeedbedError | None:
    """The SeedbedError that `error` is, or that it was raised from; None where there is none.

    Ray hands over what a task or a worker raised inside errors of its own: as `cause`, as
    `__cause__`, or as `worker_failures`. Some of those are instances of the cause's class too, and
    only their text differs, so what has a cause is never taken for one of ours.
    """
    queue: list[object] = [error]
    seen: set[int] = set()
    while queue:
        link = queue.pop(0)
        if not isinstance(link, BaseException) or id(link) in seen:
            continue
        seen.add(id(link))
        inside = [getattr(link, "cause", None), link.__cause__]
        inside += dict(getattr(link, "worker_failures", None) or {}).values()
        if isinstance(link, SeedbedError) and not isinstance(inside[0], BaseException):
            return link
        queue += inside
    return None


def first_line(error: object) -> str:
    """What an error says at first, or its kind where it says nothing, as MemoryError does."""
    return next(filter(str.strip, str(error).splitlines()), type(error).__name__)


def nearest(word: object, known: Iterable[object]) -> str:
    """`Did you mean 'x'? Known: a, b, x.`, for the end of a message about a wrong name."""
    names = [str(name) for name in known]
    close = difflib.get_close_matches(str(word), names, n=1, cutoff=0.5)
    known_text = f"Known: {', '.join(sorted(names))}." if names else "There is nothing to name."
    return f"Did you mean '{close[0]}'? {known_text}" if close else known_text
