"""One webdataset tar, read whole: its samples in the order in which they stand."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ablate.data.storage import read_object
from ablate.errors import DataError

IMAGE_EXTENSIONS = frozenset({"jpg", "jpeg", "png", "webp"})
MAX_CAPTION_BYTES = 20_000  # longer is a scraping accident, not a caption


@dataclass(frozen=True)
class RawSample:
    """The members of one key: extension to bytes."""

    key: str
    members: dict[str, bytes]

    def image(self) -> bytes:
        """The picture's bytes. Raises SampleFault where the sample has none."""
        for extension in sorted(IMAGE_EXTENSIONS):
            if extension in self.members:
                return self.members[extension]
        raise SampleFault(f"no picture (it has {', '.join(sorted(self.members))})")

    def caption(self, field: str) -> str:
        """The caption in `field` of the json member, or in the text member for `txt`."""
        if field == "txt" or "json" not in self.members:
            raw = self.members.get("txt")
            if raw is None:
                raise SampleFault(f"no caption: neither txt nor json for field '{field}'")
            if len(raw) > MAX_CAPTION_BYTES:
                raise SampleFault(f"caption of {len(raw):,} bytes")
            try:
                text = raw.decode()
            except UnicodeDecodeError as error:
                raise SampleFault(f"caption is not UTF-8 at byte {error.start}") from None
        else:
            text = self._from_json(field)
        if not text.strip():
            raise SampleFault("caption is empty")
        return text

    def _from_json(self, field: str) -> str:
        try:
            values = json.loads(self.members["json"])
        except ValueError as error:
            raise SampleFault(f"json member does not parse: {error}") from None
        value = values.get(field) if isinstance(values, dict) else None
        if not isinstance(value, str):
            known = ", ".join(sorted(values)) if isinstance(values, dict) else "none"
            raise SampleFault(f"json has no caption field '{field}' (it has {known})")
        return value


class SampleFault(Exception):  # noqa: N818 - a fault is counted, an error stops
    """One sample cannot be used; the message is the reason that the trial's record keeps."""


def split_name(member: str) -> tuple[str, str]:
    """`dir/key.ext.more` to (`dir/key`, `ext.more`), lower-cased: webdataset's rule."""
    folder, _, base = member.rpartition("/")
    stem, _, extension = base.partition(".")
    return (f"{folder}/{stem}" if folder else stem), extension.lower()


def read_shard(path: str) -> list[RawSample]:
    """All samples of the tar at `path`, a file or an object in a bucket.

    Raises DataError when it is missing or cut short.
    """
    if "://" in path:
        return list(samples_of(path, io.BytesIO(read_object(path))))
    try:
        blob = Path(path).read_bytes()
    except OSError as error:
        raise DataError(
            f"shard {path} cannot be read",
            why=str(error),
            mend="restore the shard, or leave it out of the folder",
        ) from error
    return list(samples_of(path, io.BytesIO(blob)))


def samples_of(path: str, stream: io.BytesIO) -> Iterator[RawSample]:
    """The samples of a tar in memory; `path` is for messages."""
    return _group(path, _members(path, stream))


def _members(path: str, stream: io.BytesIO) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(fileobj=stream, mode="r:") as tar:
            for member in tar:
                if not member.isfile():
                    continue
                opened = tar.extractfile(member)
                content = opened.read() if opened else b""
                if len(content) != member.size:
                    raise tarfile.ReadError(f"member {member.name} ends early")
                yield member.name, content
    except (tarfile.TarError, EOFError) as error:
        raise cut_short(path, str(error)) from error


def cut_short(path: str, why: str) -> DataError:
    """The error for a tar that does not end as a tar ends."""
    return DataError(
        f"shard {path} is cut short or is not a tar",
        why=why,
        mend="copy it again, or leave it out of the folder",
    )


def _group(path: str, members: Iterator[tuple[str, bytes]]) -> Iterator[RawSample]:
    """Members of one key stand together; a key that comes back is two samples under one name."""
    keys = Keys(path)
    group: dict[str, bytes] = {}
    for name, content in members:
        before = keys.current
        if keys.begins_sample(name) and group:
            yield RawSample(before, group)
            group = {}
        group[split_name(name)[1]] = content
    if group:
        yield RawSample(keys.current, group)


class Keys:
    """The keys of a shard as its members pass by. Raises DataError for one that comes twice."""

    def __init__(self, path: str) -> None:
        self.path, self.current = path, ""
        self._seen: set[str] = set()
        self._extensions: set[str] = set()

    def begins_sample(self, member: str) -> bool:
        """Whether the member named `member` is the first of its sample."""
        key, extension = split_name(member)
        begins = key != self.current or not self._seen
        if (begins and key in self._seen) or (not begins and extension in self._extensions):
            raise DataError(
                f"shard {self.path} has the key '{key}' twice",
                why="the members of one sample must stand together, under a key of their own",
                mend="write the shard again with unique keys",
            )
        if begins:
            self._extensions = set()
        self.current = key
        self._seen.add(key)
        self._extensions.add(extension)
        return begins

    @property
    def num_samples(self) -> int:
        return len(self._seen)
