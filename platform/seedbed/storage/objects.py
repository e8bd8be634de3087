"""The bytes of a corpus by address, in a bucket or a folder: list, read, write. No Ray, no tar."""

from __future__ import annotations

from types import ModuleType

from seedbed.errors import DataError, nearest
from seedbed.storage import local, s3
from seedbed.storage.address import (
    Object,
    absolute,
    expand,
    has_braces,
    has_glob,
    literal_prefix,
    matcher,
)

EVERY = ("",)  # the ends of all names
MAX_NAMED = 5  # names in a message


def at(uri: str) -> ModuleType:
    """The module that reads and writes at `uri`: `s3` and `local` have the same functions."""
    return s3 if "://" in uri else local


def list_objects(uri: str, suffixes: tuple[str, ...] = EVERY) -> list[Object]:
    """What `uri` names, sorted by uri: a file, a folder's files, a glob or a brace range.

    Of a folder only what ends in one of `suffixes`. Every name of a brace range must exist.
    Raises DataError where nothing is found.
    """
    uri = absolute(uri)
    patterns = expand(uri) if has_braces(uri) else [uri]
    if any(has_glob(pattern) for pattern in patterns):
        objects = [entry for pattern in patterns for entry in _matching(pattern)]
    elif len(patterns) > 1 or patterns[0] != uri:
        objects = _named(uri, patterns)
    else:
        objects = _plain(uri, suffixes)
    if not objects:
        raise _nothing(uri, patterns[0], suffixes)
    return sorted(set(objects), key=lambda entry: entry.uri)


def read_object(uri: str, *, start: int = 0, stop: int | None = None, etag: str = "") -> bytes:
    """Bytes `start` to `stop` - 1 of `uri`, or to its end.

    Raises DataError where it is gone, or is not the one that had `etag` ("" for any).
    """
    if start < 0 or (stop is not None and stop < start):
        raise ValueError(f"bytes {start} to {stop} of {uri}")
    uri = absolute(uri)
    content: bytes | None = at(uri).read(uri, start, stop, etag=etag)
    if content is None:
        if not etag:
            raise _gone(uri)
        now = etag_of(uri)
        raise DataError(
            f"shard {uri} has changed since the corpus was indexed",
            why=f"it was {etag} then and is {now} now: these samples are not those of the others",
            mend="restore the shard, or start the study again, as one on another corpus",
        )
    return content


def find_object(uri: str) -> Object:
    """The size and etag of `uri`. Raises DataError if it is gone."""
    uri = absolute(uri)
    entry: Object | None = at(uri).find(uri)
    if entry is None:
        raise _gone(uri)
    return entry


def etag_of(uri: str) -> str:
    """What tells this content of `uri` from another; as in `Object`. Raises DataError if gone."""
    return find_object(uri).etag


def write_object(uri: str, content: bytes) -> None:
    """Write `uri`: a reader sees the old content, or the new one whole."""
    uri = absolute(uri)
    at(uri).write(uri, content)


def exists(uri: str) -> bool:
    """Whether there is a file at `uri`."""
    uri = absolute(uri)
    return at(uri).find(uri) is not None


def _gone(uri: str) -> DataError:
    return DataError(
        f"shard {uri} is gone",
        why="the corpus was listed with it, and a corpus with holes is another corpus",
        mend="restore the shard, or index the corpus anew",
    )


def _plain(uri: str, suffixes: tuple[str, ...]) -> list[Object]:
    """A single file, or the files right inside a folder."""
    folder = uri.rstrip("/") + "/"
    if not uri.endswith("/") and uri.count("/") > (2 if "://" in uri else 0):
        single = [entry for entry in _files(uri, deep=False) if entry.uri == uri]
        if single:
            return single
    return [entry for entry in _files(folder, deep=False) if entry.uri.endswith(suffixes)]


def _matching(pattern: str) -> list[Object]:
    prefix = literal_prefix(pattern)
    matches = matcher(pattern).match
    deep = "/" in pattern[len(prefix) :]
    return [entry for entry in _files(prefix, deep=deep) if matches(entry.uri)]


def _named(uri: str, names: list[str]) -> list[Object]:
    """The files of a brace range; a listing of each folder, since a request a name is slow."""
    folders: dict[str, list[str]] = {}
    for name in names:
        folders.setdefault(name[: name.rindex("/") + 1], []).append(name)
    objects: dict[str, Object] = {}
    for folder, inside in folders.items():
        low, high = min(inside), max(inside)  # what these share, all share
        same = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), None)
        prefix = low[: max(len(folder), len(low) if same is None else same)]
        objects |= {entry.uri: entry for entry in _files(prefix, deep=False)}
    missing = [name for name in names if name not in objects]
    if missing:
        named = ", ".join(missing[:MAX_NAMED])
        more = f" and {len(missing) - MAX_NAMED:,} more" if len(missing) > MAX_NAMED else ""
        raise DataError(
            f"{len(missing):,} of the {len(names):,} shards of '{uri}' do not exist: {named}{more}",
            why="a brace range names each shard, and a corpus with holes is another corpus",
            mend="restore them, narrow the range, or use a glob (*) for what is there",
        )
    return [objects[name] for name in names]


def _files(prefix: str, *, deep: bool) -> list[Object]:
    """Files whose uri begins with `prefix`; in the folders below too where `deep`."""
    entries: list[Object] = at(prefix).files(prefix, deep=deep)[0]
    return entries


def _nothing(uri: str, pattern: str, suffixes: tuple[str, ...]) -> DataError:
    """What is there instead: the names beside the one that was asked for."""
    literal = literal_prefix(pattern)
    if literal == pattern:
        literal = literal.rstrip("/")
    folder = literal[: literal.rindex("/") + 1]
    if folder.endswith("://"):
        folder = literal + "/"
    entries, folders = at(uri).files(folder, deep=False)
    names = sorted([entry.uri[len(folder) :] for entry in entries] + folders)
    word = pattern.rstrip("/")[len(folder) :].split("/")[0]
    if word in names:
        why = f"{folder}{word} holds no {' or '.join(filter(None, suffixes)) or 'files'}"
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
