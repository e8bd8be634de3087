"""Temporary folders that are removed even if their process is killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

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
