"""One shard, a webdataset tar or a parquet file, read whole: its samples in their order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from seedbed.data.decode import image_extensions
from seedbed.data.shards import parquet, tar
from seedbed.errors import DataError, SampleFault
from seedbed.storage.objects import read_object

PARQUET_IMAGE = "img"  # what `parquet.samples` calls the picture of a row
MAX_CAPTION_BYTES = 20_000  # longer is a scraping accident, not a caption

Spans = dict[str, tuple[int, int]]  # extension to the member's first byte and the one past it


@dataclass(frozen=True)
class RawSample:
    """The members of one key: extension to bytes."""

    key: str
    members: Mapping[str, bytes]

    def image(self) -> bytes:
        """The picture's bytes. Raises SampleFault where the sample has none."""
        for extension in (PARQUET_IMAGE, *image_extensions()):
            if extension in self.members:
                return self.members[extension]
        raise SampleFault(f"no picture (it has {', '.join(sorted(self.members))})")

    def caption(self, field: str) -> str:
        """The caption in `field` of the json member, or in the text member for `txt`.

        Raises SampleFault for one that is missing, empty, too long or not UTF-8.
        """
        if "json" not in self.members or (field == "txt" and "txt" in self.members):
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

    def fields(self) -> dict[str, object]:
        """The json member's fields; none where it holds no object.

        Raises SampleFault where it does not parse.
        """
        try:
            values = json.loads(self.members.get("json", b"{}"))
        except (ValueError, RecursionError) as error:
            raise SampleFault(f"json member does not parse: {error}") from None
        return values if isinstance(values, dict) else {}

    def _from_json(self, field: str) -> str:
        values = self.fields()
        value = values.get(field)
        if not isinstance(value, str):
            known = ", ".join(sorted(values)) or "none"
            raise SampleFault(f"json has no caption field '{field}' (it has {known})")
        if len(value) > MAX_CAPTION_BYTES:
            raise SampleFault(f"caption of {len(value):,} characters")
        return value


def split_name(member: str) -> tuple[str, str]:
    """`dir/key.ext.more` to (`dir/key`, `ext.more`), lower-cased: webdataset's rule."""
    folder, _, base = member.rpartition("/")
    stem, _, extension = base.partition(".")
    return (f"{folder}/{stem}" if folder else stem), extension.lower()


def read_shard(path: str, etag: str = "") -> list[RawSample]:
    """All samples of the shard at `path`, a file or an object in a bucket.

    Raises DataError when it is missing or cut short, and when it is not the one that had `etag`
    ("" for any).
    """
    return samples_of(path, read_object(path, etag=etag))


def samples_of(path: str, content: bytes) -> list[RawSample]:
    """The samples of a shard in memory; `path` is for messages, and its end says the format."""
    return [one.sample for one in indexed_samples(path, content)]


class Indexed(NamedTuple):
    """A sample, and in a tar its first byte and the one past its last member (0 elsewhere)."""

    sample: RawSample
    start: int
    stop: int


def indexed_samples(path: str, content: bytes) -> Iterator[Indexed]:
    """The samples of a shard in memory, and where they lie."""
    if path.endswith(".parquet"):
        for key, members in parquet.samples(path, content):
            yield Indexed(RawSample(key, members), 0, 0)
    else:
        for key, start, spans in places_of(path, content):
            stop = max(last for _, last in spans.values())
            yield Indexed(sample_at(key, content, spans), start, stop)


def sample_at(key: str, content: bytes, spans: Spans) -> RawSample:
    """The sample `key` whose members lie at `spans` of the tar `content`."""
    return RawSample(key, _Slices(content, spans))


class _Slices(Mapping[str, bytes]):
    """Members cut out of their shard when they are asked for: what is not read is not copied."""

    __slots__ = ("_content", "_spans")

    def __init__(self, content: bytes, spans: Spans) -> None:
        self._content, self._spans = content, spans

    def __getitem__(self, extension: str) -> bytes:
        start, stop = self._spans[extension]
        return self._content[start:stop]

    def __iter__(self) -> Iterator[str]:
        return iter(self._spans)

    def __len__(self) -> int:
        return len(self._spans)


class Place(NamedTuple):
    """Where a sample lies in a tar: its key, the first byte of its first header, its members."""

    key: str
    header: int
    spans: Spans


def places_of(path: str, content: bytes, *, part: bool = False) -> Iterator[Place]:
    """The samples of a tar, or with `part` of some neighbouring members of one.

    The members of one key stand together: one that comes back is two samples under one name.
    Raises DataError for it, and for a tar that is damaged.
    """
    seen: set[str] = set()
    current, first, spans = "", 0, Spans()
    for name, header, start, stop in zip(*tar.columns(path, content, part=part), strict=True):
        key, extension = split_name(name)
        begins = not spans or key != current
        if key in seen if begins else extension in spans:
            raise DataError(
                f"shard {path} has the key '{key}' twice",
                why="the members of one sample must stand together, under a key of their own",
                mend="write the shard again with unique keys",
            )
        if begins:
            if spans:
                yield Place(current, first, spans)
            current, first, spans = key, header, Spans()
            seen.add(key)
        spans[extension] = (start, stop)
    if spans:
        yield Place(current, first, spans)
