"""Temporary folders that are removed even if their process is killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from seedbed.errors import DataError

PREFIX, NEW = "seedbed-scratch-", "seedbed-new-"


@contextmanager
def scratch_folder() -> Iterator[str]:
    """A folder in the temporary one, removed at the end, or by `remove_stale` after a kill."""
    # Renamed only once it is locked: a folder of that name that is not locked is stale.
    made = Path(tempfile.mkdtemp(prefix=NEW))
    held = os.open(made, os.O_RDONLY)
    try:
        with suppress(OSError):  # no locks here: then nobody finds it stale either
            fcntl.flock(held, fcntl.LOCK_EX)
        folder = made.rename(made.with_name(made.name.replace(NEW, PREFIX)))
        try:
            yield str(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(held)


def shared_folder(mark: str) -> tuple[Path, int]:
    """The folder of that `mark`, the same one for all processes of this user, and a lock on it.

    The lock is an open file: whoever closes it, or ends, holds the folder no longer.
    """
    folder = Path(tempfile.gettempdir()) / f"{PREFIX}{os.getuid()}-{mark}"
    while True:
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            held = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # found stale in between
            continue
        with suppress(OSError):  # no locks here: then nobody finds it stale either
            fcntl.flock(held, fcntl.LOCK_SH)
        status = os.fstat(held)
        if status.st_uid != os.getuid():
            os.close(held)
            raise DataError(
                f"{folder} is somebody else's",
                why="a copy of a file of the results is kept in it, and they could change it",
                mend="remove it, or give another folder for temporary files with TMPDIR",
            )
        with suppress(FileNotFoundError):
            if folder.stat().st_ino == status.st_ino:
                return folder, held
        os.close(held)  # it was removed while we waited for the lock


def remove_stale() -> None:
    """Remove the folders of processes that were killed: a lock ends with its process."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            held = os.open(folder, os.O_RDONLY)
        except OSError:  # another user's, or removed meanwhile
            continue
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # its process lives, or the disk knows no locks
            continue
        finally:
            os.close(held)
