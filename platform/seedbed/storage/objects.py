"""Objects in a bucket or a folder: list, read, write. No Ray, no tar.

boto3 lists and writes, pyarrow reads; both take credentials and endpoint from the usual
environment (`AWS_*`, `AWS_ENDPOINT_URL`). Weather is waited out (`weather.py`); what waiting
does not mend is said at once. `gs://` goes through pyarrow alone, and no test here covers it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from seedbed.errors import DataError, UnavailableError, nearest
from seedbed.storage import s3
from seedbed.storage.address import (
    Source,
    absolute,
    expand,
    has_braces,
    has_glob,
    literal_prefix,
    matcher,
    parse_sources,
)

__all__ = [
    "Object",
    "Source",
    "UnavailableError",
    "etag_of",
    "exists",
    "list_objects",
    "parse_sources",
    "read_object",
    "write_object",
]

SUFFIXES = (".tar", ".parquet")  # what a plain folder is searched for
MAX_NAMED = 5  # names in a message
Found = tuple[str, int, str]  # uri, bytes, etag


@dataclass(frozen=True)
class Object:
    """One file: `etag` changes with its content (local: time in ns and size)."""

    uri: str
    num_bytes: int
    etag: str


def list_objects(uri: str) -> list[Object]:
    """What `uri` names, sorted by uri: a file, a folder's shards, a glob or a brace range.

    Every name of a brace range must exist. Raises DataError where nothing is found.
    """
    uri = absolute(uri)
    patterns = expand(uri) if has_braces(uri) else [uri]
    if any(has_glob(pattern) for pattern in patterns):
        found = [entry for pattern in patterns for entry in _matching(pattern)]
    elif len(patterns) > 1 or patterns[0] != uri:
        found = _named(uri, patterns)
    else:
        found = _plain(uri)
    if not found:
        raise _nothing(uri, patterns[0])
    return [Object(*entry) for entry in sorted(set(found))]


def read_object(uri: str, *, start: int = 0, stop: int | None = None) -> bytes:
    """Bytes `start` to `stop` - 1 of `uri`, or to its end. Retries weather; see `weather.py`."""
    if start < 0 or (stop is not None and stop < start):
        raise ValueError(f"bytes {start} to {stop} of {uri}")
    uri = absolute(uri)
    if "://" in uri:
        return s3.read(uri, start, stop)
    try:
        with Path(uri).open("rb") as opened:
            opened.seek(start)
            return opened.read() if stop is None else opened.read(stop - start)
    except FileNotFoundError:
        raise s3.gone(uri) from None
    except OSError as error:
        raise DataError(
            f"{uri} cannot be read", why=str(error), mend="restore the file, or its permissions"
        ) from error


def etag_of(uri: str) -> str:
    """What tells this content of `uri` from another; as in `Object`. Raises DataError if gone."""
    uri = absolute(uri)
    if "://" in uri:
        return s3.etag(uri)
    try:
        return _local_etag(Path(uri).stat())
    except OSError as error:
        raise s3.gone(uri) from error


def write_object(uri: str, content: bytes) -> None:
    """Write `uri`: a reader sees the old content, or the new one whole."""
    uri = absolute(uri)
    if "://" in uri:
        s3.write(uri, content)
        return
    target = Path(uri)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise DataError(
            f"{uri} cannot be written", why=str(error), mend="give a folder that can be written"
        ) from error


def exists(uri: str) -> bool:
    """Whether there is a file at `uri`."""
    uri = absolute(uri)
    return s3.exists(uri) if "://" in uri else Path(uri).is_file()


def _plain(uri: str) -> list[Found]:
    """A single file, or the shards right inside a folder."""
    folder = uri.rstrip("/") + "/"
    if not uri.endswith("/") and uri.count("/") > (2 if "://" in uri else 0):
        single = [entry for entry in _files(uri, deep=False) if entry[0] == uri]
        if single:
            return single
    return [entry for entry in _files(folder, deep=False) if entry[0].endswith(SUFFIXES)]


def _matching(pattern: str) -> list[Found]:
    prefix = literal_prefix(pattern)
    matches = matcher(pattern).match
    deep = "/" in pattern[len(prefix) :]
    return [entry for entry in _files(prefix, deep=deep) if matches(entry[0])]


def _named(uri: str, names: list[str]) -> list[Found]:
    """The files of a brace range; a listing of each folder, since a request a name is slow."""
    folders: dict[str, list[str]] = {}
    for name in names:
        folders.setdefault(name[: name.rindex("/") + 1], []).append(name)
    found: dict[str, Found] = {}
    for folder, inside in folders.items():
        low, high = min(inside), max(inside)  # what these share, all share
        same = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), None)
        prefix = low[: max(len(folder), len(low) if same is None else same)]
        found |= {entry[0]: entry for entry in _files(prefix, deep=False)}
    missing = [name for name in names if name not in found]
    if missing:
        named = ", ".join(missing[:MAX_NAMED])
        more = f" and {len(missing) - MAX_NAMED:,} more" if len(missing) > MAX_NAMED else ""
        raise DataError(
            f"{len(missing):,} of the {len(names):,} shards of '{uri}' do not exist: {named}{more}",
            why="a brace range names each shard, and a corpus with holes is another corpus",
            mend="restore them, narrow the range, or use a glob (*) for what is there",
        )
    return [found[name] for name in names]


def _files(prefix: str, *, deep: bool) -> Iterable[Found]:
    """Files whose uri begins with `prefix`; in the folders below too where `deep`."""
    if "://" in prefix:
        return s3.files(prefix, deep=deep)[0]
    folder = Path(prefix[: prefix.rindex("/") + 1])
    paths = folder.rglob("*") if deep else folder.glob("*")
    found = []
    for path in paths:
        if str(path).startswith(prefix) and path.is_file():
            stat = path.stat()
            found.append((str(path), stat.st_size, _local_etag(stat)))
    return found


def _local_etag(stat: os.stat_result) -> str:
    return f"{stat.st_mtime_ns}-{stat.st_size}"


def _nothing(uri: str, pattern: str) -> DataError:
    """What is there instead: the names beside the one that was asked for."""
    literal = literal_prefix(pattern)
    if literal == pattern:
        literal = literal.rstrip("/")
    folder = literal[: literal.rindex("/") + 1]
    if folder.endswith("://"):
        folder = literal + "/"
    if "://" in uri:
        entries, folders = s3.files(folder, deep=False)
        names = [entry[0][len(folder) :] for entry in entries] + folders
    else:
        names = [p.name for p in Path(folder).iterdir()] if Path(folder).is_dir() else []
    names.sort()
    word = pattern.rstrip("/")[len(folder) :].split("/")[0]
    if word in names:
        why = f"{folder}{word} holds no {' or '.join(SUFFIXES)}"
    else:
        why = f"{folder} holds {len(names):,} other names" if names else f"{folder} is empty too"
    return DataError(
        f"nothing matches '{uri}'",
        why=why,
        mend=_hint(word, names) or "give a folder of tar or parquet shards that exists",
    )


def _hint(word: str, names: list[str]) -> str:
    if not names or word in names:
        return ""
    shown = nearest(word, names).split(" Known: ")[0] if len(names) > MAX_NAMED else ""
    if shown.startswith("Did you mean"):
        return f"{shown} It holds {', '.join(names[:MAX_NAMED])}, …"
    if len(names) > MAX_NAMED:
        return f"It holds {', '.join(names[:MAX_NAMED])}, …"
    return nearest(word, names)
