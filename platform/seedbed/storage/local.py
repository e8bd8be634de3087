"""Files on a local disk: what `s3` does for objects in a bucket. The only atomic writer."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from seedbed.errors import DataError
from seedbed.storage.address import Content, Object


def find(path: str) -> Object | None:
    """The file at `path`; None where there is none."""
    try:
        status = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(path, error) from error
    return Object(path, status.st_size, _etag(status)) if stat.S_ISREG(status.st_mode) else None


def read(path: str, start: int = 0, stop: int | None = None, *, etag: str = "") -> bytes | None:
    """Bytes `start` to `stop` - 1 of the file, or to its end.

    None where there is none, or another than the one with `etag` ("" for any).
    """
    try:
        with Path(path).open("rb") as opened:
            if etag and _etag(os.fstat(opened.fileno())) != etag:
                return None
            opened.seek(start)
            return opened.read() if stop is None else opened.read(stop - start)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(path, error) from error


def get(path: str) -> Content | None:
    """The file with its etag and age; None where there is none."""
    try:
        with Path(path).open("rb") as opened:
            status = os.fstat(opened.fileno())
            return Content(opened.read(), _etag(status), time.time() - status.st_mtime)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(path, error) from error


def write(path: str | Path, content: bytes) -> None:
    """Write the file: a reader sees the old content, or the new one whole.

    Raises DataError for a folder that cannot be written.
    """

    def fill(partial: Path) -> None:
        with partial.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())  # otherwise a crash may leave the new name with no content

    _replace(Path(path), fill)


def upload(source: Path, path: str) -> None:
    """Write a copy of the file `source`, as `write` does."""
    _replace(Path(path), lambda partial: shutil.copyfile(source, partial))


def _replace(target: Path, fill: Callable[[Path], object]) -> None:
    # A unique name for every writer: rename is atomic, so concurrent writers do not collide.
    partial = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            fill(partial)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"{target} cannot be written",
            why=str(error),
            mend="give a folder that can be written",
        ) from error


@contextlib.contextmanager
def new_folder(target: Path, *, is_whole: Callable[[Path], bool] = Path.is_dir) -> Iterator[Path]:
    """A folder to fill, which becomes `target` at the end of the block.

    A `target` that is there and not whole is replaced. Rename is atomic, so concurrent processes
    do not collide: the first one's folder stays, and the others' are dropped.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        partial.mkdir()
        yield partial
        if target.exists() and not is_whole(target):
            shutil.rmtree(target)
        try:
            partial.rename(target)
        except OSError:
            if not is_whole(target):
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def files(prefix: str, *, deep: bool) -> tuple[list[Object], list[str]]:
    """The files whose path begins with `prefix`, and the names of folders beside them."""
    folder = Path(prefix[: prefix.rindex("/") + 1])
    objects: list[Object] = []
    folders: list[str] = []
    for path in folder.rglob("*") if deep else folder.glob("*"):
        if not str(path).startswith(prefix):
            continue
        if path.is_file():
            seen = path.stat()
            objects.append(Object(str(path), seen.st_size, _etag(seen)))
        elif not deep:
            folders.append(path.name)
    return objects, folders


def remove(path: str) -> None:
    """Delete a file, or a folder and all in it; nothing happens where there is none."""
    if Path(path).is_dir():
        shutil.rmtree(path)
    else:
        Path(path).unlink(missing_ok=True)


def move(source: str, target: str) -> None:
    """Move a file; an existing target is overwritten."""
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    Path(source).replace(target)


def _etag(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns}-{status.st_size}"


def _unreadable(path: str, error: OSError) -> DataError:
    return DataError(
        f"{path} cannot be read", why=str(error), mend="restore the file, or its permissions"
    )
