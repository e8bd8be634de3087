"""A folder for what Ray Tune writes while a study runs, which nobody reads after it."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "seedbed-tune-"


@contextmanager
def scratch_folder() -> Iterator[str]:
    """A folder in the temporary one, removed at the end; what killed drivers left goes first."""
    remove_stale()
    # It gets its name once it is held: one that has the name and nobody holds is stale.
    made = Path(tempfile.mkdtemp(prefix="seedbed-new-"))
    held = os.open(made, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        folder = made.rename(made.with_name(made.name.replace("seedbed-new-", PREFIX)))
        try:
            yield str(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(held)


def remove_stale() -> None:
    """Remove the folders of drivers that are gone: a lock ends with its process."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            held = os.open(folder, os.O_RDONLY)
        except OSError:  # another user's, or removed meanwhile
            continue
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # its driver lives, or the disk knows no locks
            continue
        finally:
            os.close(held)
