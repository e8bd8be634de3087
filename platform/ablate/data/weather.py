"""What passes by itself when one waits, told from what never does; and the waiting."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable
from typing import TypeVar

from ablate.errors import DataError

T = TypeVar("T")

ATTEMPTS = 6  # ABLATE_READ_ATTEMPTS
BACKOFF_SECONDS = 0.5  # ABLATE_READ_BACKOFF_SECONDS: before the second attempt, then doubled
MAX_BACKOFF_SECONDS = 20.0
CONNECT_SECONDS, REQUEST_SECONDS = 10.0, 60.0  # the second: ABLATE_READ_TIMEOUT_SECONDS

_STATUS = re.compile(r"HTTP status (\d{3})")
_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")


class WeatherError(DataError):
    """A store that stayed unreachable, slow or failing longer than the attempts lasted."""


class Weather(Exception):  # noqa: N818 - it is caught here, and never seen outside
    """A fault that may pass; `unreachable` where no server answered at all."""

    def __init__(self, text: str, *, unreachable: bool = False) -> None:
        super().__init__(text)
        self.unreachable = unreachable


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


def patiently(act: Callable[[], T], what: str, place: str) -> T:
    """`act()`, tried again with doubling, jittered pauses while it raises Weather.

    `what` is the deed and `place` the server, for the message. Raises WeatherError at the end.
    """
    attempts = int(number("ABLATE_READ_ATTEMPTS", ATTEMPTS, least=1))
    pause = number("ABLATE_READ_BACKOFF_SECONDS", BACKOFF_SECONDS, least=0)
    jitter = random.Random()  # of its own: no seeded generator of the trial is moved
    began = time.monotonic()
    attempt = 0
    while True:
        attempt += 1
        try:
            return act()
        except Weather as weather:
            if attempt >= attempts:
                raise _outlasted(weather, what, place, attempt, began) from weather
        time.sleep(min(MAX_BACKOFF_SECONDS, pause * 2 ** (attempt - 1)) * jitter.uniform(0.5, 1))


def _outlasted(weather: Weather, what: str, place: str, attempts: int, began: float) -> DataError:
    seconds = time.monotonic() - began
    tries = f"{attempts} attempt{'s' if attempts > 1 else ''} in {seconds:.1f} s"
    if weather.unreachable:
        return WeatherError(
            f"{what} failed: nothing can be reached at {place} ({tries})",
            why=f"the last error was: {weather}",
            mend="start the server, or set AWS_ENDPOINT_URL to where it is",
        )
    return WeatherError(
        f"{what} failed: {place} did not answer soundly in {tries}",
        why=f"the last error was: {weather}",
        mend="wait and start again: a run resumes; or raise ABLATE_READ_ATTEMPTS",
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
