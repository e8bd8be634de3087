"""One shard read whole: its samples in their order."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed.data.shards.formats import format_of
from seedbed.data.shards.formats.format import Indexed
from seedbed.data.shards.sample import RawSample
from seedbed.storage.objects import read_object


def read_shard(path: str, etag: str = "") -> list[RawSample]:
    """All samples of the shard at `path`, a file or an object in a bucket.

    Raises DataError when it is missing or cut short, and when it is not the one that had `etag`
    ("" for any).
    """
    return samples_of(path, read_object(path, etag=etag))


def samples_of(path: str, content: bytes) -> list[RawSample]:
    """The samples of a shard in memory; `path` is for messages, and its end says the format."""
    return [one.sample for one in indexed_samples(path, content)]


def indexed_samples(path: str, content: bytes) -> Iterator[Indexed]:
    """The samples of a shard in memory, and where they lie."""
    return format_of(path).indexed(path, content)
