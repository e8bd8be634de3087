"""What reading one shard whole finds: its count, content, captions, faults and pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from seedbed.data.decode import decode
from seedbed.data.shards import parquet
from seedbed.data.shards.manifest import digest
from seedbed.data.shards.pictures import digests_of
from seedbed.data.shards.samples import MAX_CAPTION_BYTES, RawSample, Spans, sample_at, spans_of
from seedbed.data.shards.tar import cut_short
from seedbed.errors import SampleFault
from seedbed.storage.address import Object
from seedbed.storage.objects import read_object, write_object

Bad = tuple[str, str, str]  # shard, key, reason


@dataclass(frozen=True)
class IndexedShard:
    """A shard as it was read: its name in the source, and what it holds.

    `etag` changes with the content, and so does `digest`, which is the same wherever the shard
    lies; `captions` are the fields that hold text in its first sample with any.
    """

    name: str
    num_samples: int
    num_bytes: int
    etag: str
    digest: str
    num_bad: int
    captions: tuple[str, ...]


@dataclass(frozen=True)
class IndexJob:
    """One shard to be read; its members' offsets are written under `members`, if that is set."""

    name: str
    found: Object
    members: str


class Offsets:
    """Per member: the sample's row and key, the extension, first byte and the one past it."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.keys: list[str] = []
        self.extensions: list[str] = []
        self.starts: list[int] = []
        self.stops: list[int] = []

    def add(self, row: int, key: str, spans: Spans) -> None:
        for extension, (start, stop) in spans.items():
            self.rows.append(row)
            self.keys.append(key)
            self.extensions.append(extension)
            self.starts.append(start)
            self.stops.append(stop)

    def file(self) -> bytes:
        """As a parquet file."""
        table = pa.table(
            {
                "row": self.rows,
                "key": self.keys,
                "extension": self.extensions,
                "start": self.starts,
                "stop": self.stops,
            }
        )
        out = io.BytesIO()
        # Only extensions come back: for the rest a dictionary is time, and twice the size.
        pq.write_table(table, out, compression="zstd", use_dictionary=["extension"])
        return out.getvalue()


class Read(NamedTuple):
    """What was found in a shard: `pictures` are the digests of its samples' pictures, as bytes."""

    shard: IndexedShard
    bad: list[Bad]
    pictures: bytes


def read_shard_index(job: IndexJob) -> Read:
    """Read one shard whole. Raises DataError where it is damaged, or holds nothing."""
    uri = job.found.uri
    content = read_object(uri)
    places = Offsets()
    samples: list[RawSample] = []
    for row, (key, spans, sample) in enumerate(_samples(uri, content)):
        samples.append(sample)
        places.add(row, key, spans)
    if not samples:
        raise cut_short(uri, "it holds no samples")
    if job.members and not uri.endswith(".parquet"):
        write_object(f"{job.members}/{job.name}.parquet", places.file())
    faults = _faults(job.name, samples)
    shard = IndexedShard(
        job.name,
        len(samples),
        len(content),
        job.found.etag,
        digest(content),
        len(faults),
        next((fields for sample in samples if (fields := _captions(sample))), ()),
    )
    return Read(shard, faults, digests_of(samples))


def _samples(uri: str, content: bytes) -> Iterator[tuple[str, Spans, RawSample]]:
    """Key, members' places (none in a parquet file) and members of each sample."""
    if uri.endswith(".parquet"):
        for key, members in parquet.samples(uri, content):
            yield key, {}, RawSample(key, members)
    else:
        for key, spans in spans_of(uri, content):
            yield key, spans, sample_at(key, content, spans)


def _faults(shard: str, samples: list[RawSample]) -> list[Bad]:
    """The samples that cannot be used, as far as is seen without decoding their pictures.

    Pictures are decoded until one can be: where none can, every sample is listed.
    """
    bad: list[Bad] = []
    undecoded = True
    for sample in samples:
        reason = _fault(sample)
        if not reason and undecoded:
            try:
                decode(sample.image())
                undecoded = False
            except SampleFault as fault:
                reason = str(fault)
        if reason:
            bad.append((shard, sample.key, reason))
    return bad


def _fault(sample: RawSample) -> str:
    """What can be seen of a sample's faults without decoding its picture."""
    try:
        if not sample.image():
            return "the picture has zero bytes"
    except SampleFault as fault:
        return str(fault)
    text = sample.members.get("txt")
    if text is None:
        return "" if "json" in sample.members else "no caption: neither txt nor json"
    if len(text) > MAX_CAPTION_BYTES:
        return f"caption of {len(text):,} bytes"
    try:
        words = text.decode()
    except UnicodeDecodeError as error:
        return f"caption is not UTF-8 at byte {error.start}"
    return "" if words.strip() else "caption is empty"


def _captions(sample: RawSample) -> tuple[str, ...]:
    """The fields of `sample` that hold text."""
    try:
        values = sample.fields() if "json" in sample.members else {}
    except SampleFault:  # a fault of this sample, and not of the shard
        values = {}
    fields = {name for name, value in values.items() if isinstance(value, str)}
    return tuple(sorted(fields | ({"txt"} & sample.members.keys())))
