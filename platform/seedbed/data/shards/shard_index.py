"""What reading one shard whole finds: its count, content, captions, faults and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from seedbed.data.decode import decode
from seedbed.data.shards.formats import format_of
from seedbed.data.shards.manifest import check_digest, digest
from seedbed.data.shards.row_index import RowIndex, row_index_of
from seedbed.data.shards.sample import MAX_CAPTION_BYTES, RawSample
from seedbed.data.shards.samples import indexed_samples
from seedbed.errors import SampleFault
from seedbed.storage.address import Object
from seedbed.storage.objects import read_object

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
    """One shard to be read; `said` is the digest that a manifest states, "" for none."""

    name: str
    found: Object
    said: str = ""

    @property
    def num_bytes(self) -> int:
        return self.found.num_bytes

    @property
    def held_bytes(self) -> int:
        return format_of(self.name).copies * self.num_bytes


class Read(NamedTuple):
    """What was found in a shard."""

    shard: IndexedShard
    bad: list[Bad]
    rows: RowIndex


def read_shard_index(job: IndexJob) -> Read:
    """Read one shard whole.

    Raises DataError where it is damaged or holds nothing, and where it is another than was `found`
    or `said`.
    """
    uri = job.found.uri
    content = read_object(uri, etag=job.found.etag)
    check_digest(uri, job.said, content)
    indexed = list(indexed_samples(uri, content))
    samples = [one.sample for one in indexed]
    if not samples:
        raise format_of(uri).cut_short(uri, "it holds no samples")
    bounds = [*(one.start for one in indexed), indexed[-1].stop]
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
    return Read(shard, faults, row_index_of(uri, content, samples, bounds))


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
