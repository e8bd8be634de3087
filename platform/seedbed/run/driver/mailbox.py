"""What holders and workers speak through: an actor that imports nothing heavy, to start at once."""

from __future__ import annotations

import asyncio
from typing import Any


class Mailbox:
    """Between a holder and its workers: the job that is to be done, and what they report."""

    def __init__(self) -> None:
        self._number, self._job = 0, None
        self._given = asyncio.Condition()
        self._reports: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def give(self, job: Any) -> int:
        """Let `job` be the next one (None: there is none, and the workers end); its number."""
        async with self._given:
            self._number, self._job = self._number + 1, job
            self._given.notify_all()
            return self._number

    async def next(self, after: int) -> tuple[int, Any]:
        """The job with a number above `after`, once there is one, and its number."""
        async with self._given:
            await self._given.wait_for(lambda: self._number > after)
            return self._number, self._job

    async def put(self, report: dict[str, Any]) -> None:
        await self._reports.put(report)

    async def take(self, seconds: float) -> dict[str, Any] | None:
        """The next report; None if none comes for so long."""
        try:
            return await asyncio.wait_for(self._reports.get(), seconds)
        except TimeoutError:
            return None
