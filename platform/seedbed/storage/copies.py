"""Copies of a bucket's files on this machine, each fetched once and shared by its processes.

A copy lies in a folder that every process which has asked for it holds by a shared lock, so that it
is there for the next one, and is found stale when the last of them has ended, however it ended.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from seedbed.storage.scratch import shared_folder

KEPT = 4  # copies that a process holds at a time: those that it has asked for last

_held: dict[Path, int] = {}  # the lock of each folder, the last one asked for at the end
_guard = threading.Lock()


def shared_copy(uri: str, etag: str, fetch: Callable[[Path], object]) -> Path:
    """The file `uri` with `etag` on this machine; `fetch` writes it where nobody has it yet.

    Processes that ask at a time wait for the first one. A copy may be mapped for longer than it is
    kept, since removing it only takes its name away.
    """
    folder = _hold(uri, etag)
    target = folder / _name(uri)
    with (folder / ".lock").open("w") as lock:
        with suppress(OSError):  # no locks here: then several may fetch it, each whole
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            partial = folder / f".{os.getpid()}-{threading.get_ident()}"
            fetch(partial)
            partial.rename(target)
    return target


def forget_copy(uri: str, etag: str) -> None:
    """Fetch the file anew where it is asked for next: the copy is damaged."""
    (_hold(uri, etag) / _name(uri)).unlink(missing_ok=True)


def _name(uri: str) -> str:
    return uri.rpartition("/")[2]


def _hold(uri: str, etag: str) -> Path:
    mark = hashlib.sha256(f"{uri}/{etag}".encode()).hexdigest()[:24]
    with _guard:
        folder, held = shared_folder(mark)
        if (before := _held.pop(folder, None)) is not None:
            os.close(before)
        _held[folder] = held
        while len(_held) > KEPT:
            _let_go(next(iter(_held)))
    return folder


def _let_go(folder: Path) -> None:
    """Remove the copy, unless some other process holds it."""
    held = _held.pop(folder)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except OSError:  # somebody does
        pass
    finally:
        os.close(held)


@atexit.register
def let_go_of_copies() -> None:
    """Hold none any more, as if this process had ended."""
    for folder in list(_held):
        _let_go(folder)
