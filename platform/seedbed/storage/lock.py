"""Locks: of a file, and of a study (a file lock in a local folder, a lease in a bucket)."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from seedbed.errors import StudyError
from seedbed.storage.folder import Folder
from seedbed.storage.held import LOCK_NAME, Holder, held
from seedbed.storage.lease import study_lease

# errno for a file that another process has locked, and for a file system without locks.
HELD = frozenset({errno.EACCES, errno.EAGAIN})
WITHOUT_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})


@contextlib.contextmanager
def file_lock(path: Path, *, held: Callable[[Holder | None], None] | None = None) -> Iterator[None]:
    """Hold `path` locked, with the name of this process in it; wait while another one does.

    `held` is called, with who holds it, before the first wait, and may raise instead. A POSIX lock
    (fcntl(2), "Advisory record locking"): it belongs to the process, so it does not pass to
    children, and the kernel frees it however the process ends. Raises OSError for a place that
    cannot be written or a disk without locks.
    """
    # This process must not open it again meanwhile, since closing any of its descriptors frees the
    # lock.
    with _locked(path, held) as opened:
        _write(opened, json.dumps(Holder.myself().to_json()))
        try:
            yield
        finally:
            _write(opened, "")


def _locked(path: Path, held: Callable[[Holder | None], None] | None) -> IO[str]:
    """The file at `path`, open and locked. Whoever held it may have removed it with its study: two
    processes could each lock one, so that only the file that is there counts."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = path.open("a+", encoding="utf-8")
        try:
            _lock(opened, held)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(opened.fileno()), path.stat()):
                    return opened
        except BaseException:
            opened.close()
            raise
        opened.close()


def _lock(opened: IO[str], held: Callable[[Holder | None], None] | None) -> None:
    try:
        fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in HELD:
            raise
        if held is not None:
            opened.seek(0)
            held(Holder.parse(opened.read()))
        fcntl.lockf(opened, fcntl.LOCK_EX)


@contextlib.contextmanager
def study_lock(folder: Folder) -> Iterator[None]:
    """Lock the study whose results are in `folder`: two drivers would end each other's trials.

    In a local folder by a file lock, in a bucket by a lease. Raises StudyHeldError when another
    process holds it.
    """
    if not folder.local:
        with study_lease(folder):
            yield
        return
    path = Path(folder.path(LOCK_NAME))

    def refuse(holder: Holder | None) -> None:
        raise held(path.parent.name, str(path.parent.parent), holder, str(path))

    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(file_lock(path, held=refuse))
        except OSError as error:
            if error.errno not in WITHOUT_LOCKS:
                raise StudyError(
                    f"--storage {path.parent} cannot be written",
                    why=str(error),
                    mend="give a folder that can be",
                ) from error
            print(
                f"caution {path.parent} is on a disk without locks ({error.strerror}): "
                "see to it that no other process runs this study there",
                file=sys.stderr,
            )
        yield


def _write(opened: IO[str], text: str) -> None:
    """Record who holds the lock. It is held even if this fails, so a full disk is ignored here."""
    with contextlib.suppress(OSError):
        os.ftruncate(opened.fileno(), 0)
        os.write(opened.fileno(), text.encode())
