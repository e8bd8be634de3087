"""Who holds a study's lock, and the error for a second process."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from seedbed.errors import StudyHeldError

LOCK_NAME = "driver.lock"


@dataclass(frozen=True)
class Holder:
    """The process that runs a study."""

    pid: int
    host: str
    since: str

    @classmethod
    def myself(cls) -> Holder:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(os.getpid(), socket.gethostname(), since)

    @classmethod
    def parse(cls, text: str | bytes) -> Holder | None:
        """The holder that wrote `text`; None where it is incomplete (at its start, or its end)."""
        try:
            values = json.loads(text)
            return cls(values["pid"], values["host"], values["since"])
        except (ValueError, KeyError, TypeError):
            return None

    def to_json(self) -> dict[str, object]:
        return asdict(self)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


def held(study: str, place: str, holder: Holder | None, lock: str) -> StudyHeldError:
    """`study` is the study's name, `place` the results folder above it, `lock` the lock's path."""
    who = holder or "a process that has not said which"
    return StudyHeldError(
        f"study '{study}' is being run into {place} by {who}",
        why="two drivers of one study would end each other's trials",
        mend="wait until it has ended (the same command then goes on), or give another --storage "
        f"and --tracking-uri; the lock is {lock}",
    )
