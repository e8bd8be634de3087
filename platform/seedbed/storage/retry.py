"""What passes by itself when one waits, told from what never does; and the waiting."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from seedbed.errors import DataError, TransientError, UnavailableError

T = TypeVar("T")

PATIENCE_SECONDS = 900.0  # SEEDBED_PATIENCE_SECONDS: how long a store that is away is waited for
# One that has never answered is more often a wrong address, which should be said soon.
FIRST_SECONDS = 15.0
BACKOFF_SECONDS = 0.5  # SEEDBED_READ_BACKOFF_SECONDS: before the second attempt, then doubled
MAX_BACKOFF_SECONDS = 20.0
CONNECT_SECONDS, REQUEST_SECONDS = 10.0, 60.0  # the second: SEEDBED_READ_TIMEOUT_SECONDS
LOUD_SECONDS = 5.0  # of waiting, before it is told

log = logging.getLogger(__name__)

_STATUS = re.compile(r"HTTP status (\d{3})")
_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")


def number(name: str, default: float, *, least: float) -> float:
    """The number in the environment variable `name`. Raises DataError where it is none."""
    text = os.environ.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = float("nan")
    if not least <= value < float("inf"):
        raise DataError(f"{name} is '{text}'", mend=f"give a number of at least {least:g}")
    return value


def patience_seconds() -> float:
    """What SEEDBED_PATIENCE_SECONDS says. Raises DataError where that is no number."""
    return number("SEEDBED_PATIENCE_SECONDS", PATIENCE_SECONDS, least=0)


@dataclass
class _Known:
    """What this process knows: who has answered, and the patience that its driver told it.

    Of the process, since a shard's reads run in threads.
    """

    answered: set[str] = field(default_factory=set)
    told_seconds: float | None = None

    def limit(self, place: str) -> float:
        if self.told_seconds is not None:
            return self.told_seconds
        patience = patience_seconds()
        return patience if place in self.answered else min(FIRST_SECONDS, patience)


_known = _Known()


@contextlib.contextmanager
def waiting(seconds: float) -> Iterator[None]:
    """In the block every store is waited for `seconds`: another process has found it there.

    For workers and tasks on other machines, which do not have the driver's environment.
    """
    before, _known.told_seconds = _known.told_seconds, seconds
    try:
        yield
    finally:
        _known.told_seconds = before


def patiently(act: Callable[[], T], what: str, place: str) -> T:
    """`act()`, tried again with doubling, jittered pauses while it raises Weather.

    For SEEDBED_PATIENCE_SECONDS, or FIRST_SECONDS where `place` has never answered. `what` is the
    deed and `place` the server, for the message. Raises UnavailableError at the end.
    """
    backoff = number("SEEDBED_READ_BACKOFF_SECONDS", BACKOFF_SECONDS, least=0)
    jitter = random.Random()  # of its own: no seeded generator of the trial is moved
    began = time.monotonic()
    attempt, told = 0, False
    while True:
        attempt += 1
        try:
            result = act()
        except TransientError as weather:
            limit, waited = _known.limit(place), time.monotonic() - began
            if waited >= limit:
                raise _outlasted(weather, what, place, attempt, waited) from weather
            if waited >= LOUD_SECONDS and not told:
                told = True
                log.warning("%s: %s is away (%s); waited for %.0f s", what, place, weather, limit)
            pause = min(MAX_BACKOFF_SECONDS, backoff * 2 ** min(attempt - 1, 20))
            time.sleep(min(pause * jitter.uniform(0.5, 1), limit - waited))
        except DataError:
            _known.answered.add(place)
            raise
        else:
            _known.answered.add(place)
            return result


def _outlasted(
    weather: TransientError, what: str, place: str, attempts: int, seconds: float
) -> UnavailableError:
    tries = f"{attempts} attempt{'s' if attempts > 1 else ''} in {seconds:.1f} s"
    if weather.unreachable:
        return UnavailableError(
            f"{what} failed: nothing can be reached at {place} ({tries})",
            why=f"the last error was: {weather}",
            mend="start the server, or set AWS_ENDPOINT_URL to where it is; "
            "the same command then goes on",
        )
    return UnavailableError(
        f"{what} failed: {place} did not answer soundly in {tries}",
        why=f"the last error was: {weather}",
        mend="wait and start again: a run resumes; or raise SEEDBED_PATIENCE_SECONDS",
    )


def status_in(text: str) -> int | None:
    """The HTTP status that pyarrow puts into its messages."""
    found = _STATUS.search(text)
    return int(found[1]) if found else None


def plain(error: object) -> str:
    """An error's first lines in brief, without the credentials of the environment."""
    text = " ".join(str(error).split())[:300]
    for name in _SECRETS:
        if value := os.environ.get(name):
            text = text.replace(value, "…")
    return text
