"""One driver at a time for each study and results folder: two would end each other's trials."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from seedbed.errors import StudyError, StudyHeldError
from seedbed.storage.held import LOCK_NAME, Holder, held
from seedbed.storage.lease import study_lease
from seedbed.storage.results import Store

# What systems say of a file that another process has locked, and of a disk that has no locks.
HELD = frozenset({errno.EACCES, errno.EAGAIN})
WITHOUT_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})


@contextlib.contextmanager
def study_lock(store: Store) -> Iterator[None]:
    """Hold the study whose results are in `store`. Raises StudyHeldError when another process does.

    In a folder a POSIX lock (fcntl(2), "Advisory record locking"): it is the process' own, so it
    does not pass to what the driver starts, and the kernel frees it however the driver ends. In a
    bucket a lease (`lease.py`).
    """
    if store.uri.startswith("s3://"):
        with study_lease(store):
            yield
        return
    if not store.local:
        print(
            f"caution {store.uri} is a store whose locks nobody here knows: see to it that no "
            "other process runs this study there",
            file=sys.stderr,
        )
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
        _write(opened, json.dumps(Holder.myself().to_json()))
        try:
            yield
        finally:
            _write(opened, "")


def _write(opened: IO[str], text: str) -> None:
    """Say who holds the lock. It is held without that too, so a full disk is no fault here."""
    with contextlib.suppress(OSError):
        os.ftruncate(opened.fileno(), 0)
        os.write(opened.fileno(), text.encode())


def _held(opened: IO[str], path: Path) -> StudyHeldError:
    opened.seek(0)
    holder = Holder.parse(opened.read())
    return held(path.parent.name, str(path.parent.parent), holder, str(path))
