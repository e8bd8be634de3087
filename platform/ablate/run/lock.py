"""One driver at a time for each study and results folder: two would end each other's trials."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from ablate.errors import AblateError, StudyError
from ablate.run.store import Store

LOCK_NAME = "driver.lock"
# What systems say of a file that another process has locked, and of a disk that has no locks.
HELD = frozenset({errno.EACCES, errno.EAGAIN})
WITHOUT_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})


class StudyHeldError(AblateError):
    """Another process is running the study into the same folder; nothing is wrong with it."""


@contextlib.contextmanager
def study_lock(store: Store) -> Iterator[None]:
    """Hold the study whose results are in `store`. Raises StudyHeldError when another process does.

    A POSIX lock (fcntl(2), "Advisory record locking"): it is the process' own, so it does not
    pass to what the driver starts, and the kernel frees it however the driver ends.
    """
    if not store.local:
        # A bucket has no locks that a crash would free, and a stale one would be worse than
        # none: two drivers into one bucket are left to whoever starts them.
        yield
        return
    path = Path(store.path(LOCK_NAME))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise StudyError(
            f"--storage {path.parent} cannot be written",
            why=str(error),
            mend="give a folder that can be",
        ) from error
    # The file stays: removed, two processes could each hold one. Nobody in this process may open
    # it again meanwhile, since closing any of its descriptors frees the lock.
    with opened:
        try:
            fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in HELD:
                raise _held(opened, path) from None
            if error.errno not in WITHOUT_LOCKS:
                raise
            print(
                f"caution {path.parent} is on a disk without locks ({error.strerror}): "
                "see to it that no other process runs this study there",
                file=sys.stderr,
            )
            yield
            return
        _write(opened, _myself())
        try:
            yield
        finally:
            _write(opened, "")


def _myself() -> str:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since})


def _write(opened: IO[str], text: str) -> None:
    """Say who holds the lock. It is held without that too, so a full disk is no fault here."""
    with contextlib.suppress(OSError):
        os.ftruncate(opened.fileno(), 0)
        os.write(opened.fileno(), text.encode())


def _held(opened: IO[str], path: Path) -> StudyHeldError:
    opened.seek(0)
    try:
        holder = json.loads(opened.read())
        who = f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        who = "a process that has not said which"  # it is just starting, or ending
    return StudyHeldError(
        f"study '{path.parent.name}' is being run into {path.parent.parent} by {who}",
        why="two drivers of one study would end each other's trials",
        mend="wait until it has ended (the same command then goes on), or give another --storage "
        f"and --tracking-uri; the lock is {path}",
    )
