"""Digests of a source's pictures, by which a picture is known again under another name.

Found in the pass that indexes a source, and kept beside its index: one row for each shard, so
that a shard that has changed is another one. A digest is 64 bits of the encoded bytes; two of 15
million pictures against 10,000 agree by chance once in a hundred million studies.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from numpy.typing import NDArray

from seedbed.data.shards.samples import RawSample, read_shard
from seedbed.errors import DataError, SampleFault
from seedbed.storage.objects import read_object, write_object
from seedbed.storage.tables import read_table

FILE_NAME = "pictures.parquet"
NO_PICTURE = 0
# Shards whose digests nobody has kept are read at a study's start up to so many bytes: a second
# or two. Of more it is said that they were not looked at.
READ_BYTES = 512_000_000
THREADS = 8
SCHEMA = pa.schema([("shard", pa.string()), ("etag", pa.string()), ("digests", pa.large_binary())])

Digests = NDArray[np.uint64]
Known = dict[tuple[str, str], Digests]  # by the shard's name and etag


def digest_of(sample: RawSample) -> int:
    """64 bits of a sample's picture; NO_PICTURE where it has none."""
    try:
        content = sample.image()
    except SampleFault:
        return NO_PICTURE
    return (xxhash.xxh3_64_intdigest(content) or 1) if content else NO_PICTURE


def digests_of(samples: Iterable[RawSample]) -> bytes:
    """The digests of a shard's pictures [n], little-endian."""
    return np.array([digest_of(sample) for sample in samples], "<u8").tobytes()


def read_known(place: str) -> Known:
    """What is kept in `place`, a folder or a prefix; nothing where there is no such file."""
    try:
        table = read_table(read_object(f"{place}/{FILE_NAME}"))
        columns = [table.column(name).to_pylist() for name in ("shard", "etag", "digests")]
    except (DataError, pa.ArrowInvalid, KeyError):
        return {}
    return {
        (shard, etag): np.frombuffer(digests, "<u8")
        for shard, etag, digests in zip(*columns, strict=True)
    }


def write_known(place: str, known: Mapping[tuple[str, str], bytes | Digests]) -> None:
    """Keep `known` in `place`. Raises DataError where it cannot be written."""
    rows = [
        {"shard": shard, "etag": etag, "digests": bytes(digests)}
        for (shard, etag), digests in sorted(known.items(), key=lambda pair: pair[0])
    ]
    out = io.BytesIO()
    # Digests do not compress.
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), out, compression="none")
    write_object(f"{place}/{FILE_NAME}", out.getvalue())


Shard = tuple[str, str, str, int]  # name, place, etag, bytes


def digests_by_shard(shards: Sequence[Shard], places: Sequence[str]) -> dict[str, Digests]:
    """By name, the digests [n] of those of `shards` that are known or can be read at once.

    What is known is looked up in all of `places`; what had to be read is kept in the last one,
    if it can be written.
    """
    known: Known = {}
    for place in places:
        known |= read_known(place)
    left = [shard for shard in shards if (shard[0], shard[2]) not in known]
    if left and sum(num_bytes for *_, num_bytes in left) <= READ_BYTES:
        with ThreadPoolExecutor(THREADS) as pool:
            read = pool.map(lambda shard: digests_of(read_shard(shard[1], shard[2])), left)
            for (name, _, etag, _), digests in zip(left, read, strict=True):
                known[name, etag] = np.frombuffer(digests, "<u8")
        now = {(name, etag) for name, _, etag, _ in shards}
        with suppress(DataError):  # a home that cannot be written: they are read again next time
            write_known(places[-1], {key: known[key] for key in now & known.keys()})
    return {name: known[name, etag] for name, _, etag, _ in shards if (name, etag) in known}
