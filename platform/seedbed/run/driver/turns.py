"""Which of several cohorts makes what all of them need: an actor that imports nothing heavy."""

from __future__ import annotations

import asyncio
from contextlib import suppress

# A test set of 50,000 pictures takes minutes to render. Whoever takes longer may have been lost
# with a node, and its cohort may wait for another one: what two make at a time is the same.
WAIT_SECONDS = 600.0


class Turns:
    """Lets one cohort at a time make a thing, by its name; who comes next finds it made.

    A cohort makes one thing after another. What its workers had asked for before is over when it
    asks again, since they have ended, and when `ended` says so.
    """

    def __init__(self, wait_seconds: float = WAIT_SECONDS) -> None:
        self._wait_seconds = wait_seconds
        self._maker: dict[str, str] = {}  # of a thing that is being made
        self._asked: dict[str, int] = {}  # how often each cohort has
        self._changed = asyncio.Condition()

    async def take(self, thing: str, cohort: str) -> None:
        """Return when nobody else makes `thing`, or has made it for too long."""
        async with self._changed:
            self._forget(cohort)
            asked = self._asked[cohort]
            free = self._changed.wait_for(
                lambda: self._asked[cohort] != asked or thing not in self._maker
            )
            with suppress(TimeoutError):
                await asyncio.wait_for(free, self._wait_seconds)
            if self._asked[cohort] == asked:
                self._maker[thing] = cohort

    async def leave(self, thing: str, cohort: str) -> None:
        """`thing` is made, or will not be."""
        async with self._changed:
            if self._maker.get(thing) == cohort:
                del self._maker[thing]
            self._changed.notify_all()

    async def ended(self, cohort: str) -> None:
        """The workers of `cohort` have ended, whatever they were at."""
        async with self._changed:
            self._forget(cohort)

    def _forget(self, cohort: str) -> None:
        self._asked[cohort] = self._asked.get(cohort, 0) + 1
        self._maker = {thing: one for thing, one in self._maker.items() if one != cohort}
        self._changed.notify_all()
