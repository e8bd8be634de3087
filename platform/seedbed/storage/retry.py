"""Retry transient storage errors with backoff.

A request raises TransientError where the same request may succeed a moment later (the server is
unreachable, overloaded or cut the connection); everything else is raised at once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from seedbed import checks
from seedbed.errors import DataError, TransientError, UnavailableError

T = TypeVar("T")

RETRY_SECONDS = 900.0  # SEEDBED_RETRY_SECONDS: how long one request is retried
# A server that has never answered is more likely a wrong address: fail soon.
FIRST_SECONDS = 15.0
BACKOFF_SECONDS = 0.5  # SEEDBED_READ_BACKOFF_SECONDS: before the second attempt, then doubled
MAX_BACKOFF_SECONDS = 20.0
CONNECT_SECONDS, REQUEST_SECONDS = 10.0, 60.0  # the second: SEEDBED_READ_TIMEOUT_SECONDS
WARN_SECONDS = 5.0  # a wait shorter than this is not logged

log = logging.getLogger(__name__)

_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")


def env_number(name: str, default: float, *, least: float) -> float:
    """The number in the environment variable `name`. Raises DataError where it is none."""
    text = os.environ.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = float("nan")
    if not (checks.is_number(value) and value >= least):
        raise DataError(f"{name} is '{text}'", mend=f"give a number of at least {least:g}")
    return value


def retry_seconds() -> float:
    """What SEEDBED_RETRY_SECONDS says. Raises DataError where that is no number."""
    return env_number("SEEDBED_RETRY_SECONDS", RETRY_SECONDS, least=0)


@dataclass
class _Process:
    """Which servers have answered this process, and the limit that its driver gave it.

    One for all threads: a shard's reads run in several.
    """

    answered: set[str] = field(default_factory=set)
    limit_seconds: float | None = None

    def limit(self, server: str) -> float:
        if self.limit_seconds is not None:
            return self.limit_seconds
        seconds = retry_seconds()
        return seconds if server in self.answered else min(FIRST_SECONDS, seconds)


_process = _Process()


@contextlib.contextmanager
def retrying_for(seconds: float) -> Iterator[None]:
    """In the block every request is retried for `seconds`, even if the server has never answered.

    For workers and tasks on other machines: they lack the driver's environment, and the driver
    has reached the server already.
    """
    before, _process.limit_seconds = _process.limit_seconds, seconds
    try:
        yield
    finally:
        _process.limit_seconds = before


def retry(request: Callable[[], T], what: str, server: str) -> T:
    """`request()`, repeated with doubling, jittered pauses while it raises TransientError.

    For SEEDBED_RETRY_SECONDS, or FIRST_SECONDS where `server` has never answered. `what` and
    `server` are for the message. Raises UnavailableError when the time is over.
    """
    backoff = env_number("SEEDBED_READ_BACKOFF_SECONDS", BACKOFF_SECONDS, least=0)
    jitter = random.Random()  # its own generator: a trial's seeded one must not advance
    began = time.monotonic()
    attempt, warned = 0, False
    while True:
        attempt += 1
        try:
            result = request()
        except TransientError as error:
            limit, waited = _process.limit(server), time.monotonic() - began
            if waited >= limit:
                raise _unavailable(error, what, server, attempt, waited) from error
            if waited >= WARN_SECONDS and not warned:
                warned = True
                log.warning("%s: %s fails (%s); retried for %.0f s", what, server, error, limit)
            pause = min(MAX_BACKOFF_SECONDS, backoff * 2 ** min(attempt - 1, 20))
            time.sleep(min(pause * jitter.uniform(0.5, 1), limit - waited))
        except DataError:
            _process.answered.add(server)
            raise
        else:
            _process.answered.add(server)
            return result


def _unavailable(
    error: TransientError, what: str, server: str, attempts: int, seconds: float
) -> UnavailableError:
    tries = f"{attempts} attempt{'s' if attempts > 1 else ''} in {seconds:.1f} s"
    if error.unreachable:
        return UnavailableError(
            f"{what} failed: nothing can be reached at {server} ({tries})",
            why=f"the last error was: {error}",
            mend="start the server, or set AWS_ENDPOINT_URL to where it is; "
            "the same command then goes on",
        )
    return UnavailableError(
        f"{what} failed: {server} gave no valid answer in {tries}",
        why=f"the last error was: {error}",
        mend="wait and start again: a run resumes; or raise SEEDBED_RETRY_SECONDS",
    )


def plain(error: object) -> str:
    """An error's first lines in brief, without the credentials of the environment."""
    text = " ".join(str(error).split())[:300]
    for name in _SECRETS:
        if value := os.environ.get(name):
            text = text.replace(value, "…")
    return text
