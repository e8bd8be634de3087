"""What is known of every row of a source: where it begins in its shard, and its picture's digest.

Found in the pass that indexes a source and kept beside its index, one line for each shard, so
that a shard that has changed is another one. By where rows begin, any of them are read without
the rest of their shard. By its digest, 64 bits of the encoded bytes, a picture is known again
under another name: two of 15 million pictures against 10,000 agree by chance once in a hundred
million studies.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from numpy.typing import NDArray

from seedbed.data.shards.formats import format_of
from seedbed.data.shards.manifest import check_digest
from seedbed.data.shards.sample import RawSample
from seedbed.data.shards.samples import indexed_samples
from seedbed.data.shards.spread import Spread, in_threads
from seedbed.errors import DataError, SampleFault
from seedbed.storage.objects import read_object, write_object
from seedbed.storage.tables import read_table

FILE_NAME = "rows.parquet"
NO_PICTURE = 0
SCHEMA = pa.schema(
    [
        ("shard", pa.string()),
        ("etag", pa.string()),
        ("digests", pa.large_binary()),
        ("starts", pa.large_binary()),
    ]
)

Digests = NDArray[np.uint64]
Starts = NDArray[np.uint32]


class RowIndex(NamedTuple):
    """Of one shard with n rows: digests [n] of their pictures, and `starts`.

    These are [n + 1] where any row can be read, in the unit of the shard's format; of a tar that
    is blocks of 512 bytes, so that 32 bits reach 2 TB. Where no less than a group of rows can be,
    they are the first row of each group, and n.
    """

    digests: Digests
    starts: Starts


Known = dict[tuple[str, str], RowIndex]  # by the shard's name and etag


def digest_of(sample: RawSample) -> int:
    """64 bits of a sample's picture; NO_PICTURE where it has none."""
    try:
        content = sample.image()
    except SampleFault:
        return NO_PICTURE
    return (xxhash.xxh3_64_intdigest(content) or 1) if content else NO_PICTURE


def row_index_of(
    path: str, content: bytes, samples: Iterable[RawSample], bounds: Sequence[int]
) -> RowIndex:
    """The index of a shard's rows, which begin at the first n of `bounds` and end at the last."""
    digests = np.array([digest_of(sample) for sample in samples], "<u8")
    starts = format_of(path).starts(path, content, bounds)
    return RowIndex(digests, np.array(starts, "<u4"))


def read_known(place: str) -> Known:
    """What is kept in `place`, a folder or a prefix; nothing where there is no such file."""
    try:
        table = read_table(read_object(f"{place}/{FILE_NAME}"))
        columns = [table.column(name).to_pylist() for name in SCHEMA.names]
    except (DataError, pa.ArrowInvalid, KeyError):
        return {}
    return {
        (shard, etag): RowIndex(np.frombuffer(digests, "<u8"), np.frombuffer(starts, "<u4"))
        for shard, etag, digests, starts in zip(*columns, strict=True)
    }


def write_known(place: str, known: Mapping[tuple[str, str], RowIndex]) -> None:
    """Keep `known` in `place`. Raises DataError where it cannot be written."""
    rows = sorted(known.items(), key=lambda pair: pair[0])
    columns = [
        [shard for (shard, _), _ in rows],
        [etag for (_, etag), _ in rows],
        [one.digests.tobytes() for _, one in rows],
        [one.starts.tobytes() for _, one in rows],
    ]
    out = io.BytesIO()
    # Digests do not compress; where rows begin does, but is a third of the file.
    pq.write_table(pa.table(columns, schema=SCHEMA), out, compression="none")
    write_object(f"{place}/{FILE_NAME}", out.getvalue())


@dataclass(frozen=True)
class Shard:
    """A shard as it was listed: its name in the source, where it lies, its etag and size.

    `said` is the digest of its content that a manifest states; "" where none does.
    """

    name: str
    place: str
    etag: str
    num_bytes: int
    said: str = ""


def read_row_index(shard: Shard) -> RowIndex:
    """The index of one shard, which is read whole.

    Raises DataError where it is damaged, and where it is another one than was `said`.
    """
    content = read_object(shard.place, etag=shard.etag)
    check_digest(shard.place, shard.said, content)
    indexed = list(indexed_samples(shard.place, content))
    bounds = [*(one.start for one in indexed), indexed[-1].stop if indexed else 0]
    return row_index_of(shard.place, content, (one.sample for one in indexed), bounds)


def row_indexes(
    shards: Sequence[Shard], places: Sequence[str], *, spread: Spread = in_threads
) -> dict[str, RowIndex]:
    """By name, the index of the rows of all `shards`; those that nobody knows are read.

    What is known is looked up in all of `places`; what had to be read is kept in the last one,
    if it can be written.
    """
    known: Known = {}
    for place in places:
        known |= read_known(place)
    left = [shard for shard in shards if (shard.name, shard.etag) not in known]
    if left:
        for shard, read in zip(left, spread(read_row_index, left), strict=True):
            known[shard.name, shard.etag] = read
        now = {(shard.name, shard.etag) for shard in shards}
        with suppress(DataError):  # a home that cannot be written: they are read again next time
            write_known(places[-1], {key: known[key] for key in now})
    return {shard.name: known[shard.name, shard.etag] for shard in shards}
