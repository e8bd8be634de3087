"""An index as it was kept before there were parts: `index.json` and all rows in `rows.parquet`.

It is taken up into parts, a few rows of the file at a time; no shard is read again for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from seedbed.data.shards.kept.bad import read_bad
from seedbed.data.shards.kept.stock import Wanted, values_in
from seedbed.data.shards.row_index import RowIndex
from seedbed.data.shards.shard_index import Bad, IndexedShard, Read
from seedbed.errors import DataError
from seedbed.storage.objects import at, exists
from seedbed.storage.ranged import RangedFile

TAKEN_UP, UNUSED = "seedbed-index/3", ("seedbed-index/1", "seedbed-index/2")
ROWS_NAME = "rows.parquet"
LINES, BUFFER_BYTES = 64, 1_000_000  # of the file at a time


def older_shards(place: str) -> list[IndexedShard]:
    """The shards of an index of the older format; none where there is no such index.

    Those that may have changed while they were read have no digest.
    """
    values = values_in(place)
    if values.get("format") != TAKEN_UP:
        return []
    try:
        listed = values["shards"]
        shards = [
            IndexedShard(**dict(zip(listed, row, strict=True)))
            for row in zip(*listed.values(), strict=True)
        ]
        begun_ns = int(values["begun_ns"])
        return [
            replace(
                shard,
                captions=tuple(shard.captions),
                digest=shard.digest if is_settled(shard.etag, begun_ns) else "",
            )
            for shard in shards
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def is_settled(etag: str, begun_ns: int) -> bool:
    """Whether a change after `begun_ns` unix time would show in the `etag` of a shard.

    A disk's clock is coarse: a change in the tick of the reading does not show in the time. A
    bucket's etag is no time, and does not begin with one of 19 digits.
    """
    first, dash, _ = etag.partition("-")
    return not (dash and first.isdigit() and len(first) == 19) or int(first) < begun_ns


def older_reads(place: str, wanted: Wanted) -> Iterator[Read]:
    """What an index of the older format in `place` has of the shards that are `wanted`."""
    if not exists(f"{place}/{ROWS_NAME}"):
        return
    known = {(shard.name, shard.etag): shard for shard in older_shards(place)}
    bad: dict[str, list[Bad]] = {}
    if any(shard.num_bad for shard in known.values()):
        for fault in read_bad(place):
            bad.setdefault(fault[0], []).append(fault)
    with suppress(DataError, pa.ArrowInvalid, KeyError):
        for name, etag, digests, starts in _lines(f"{place}/{ROWS_NAME}"):
            rows = RowIndex(np.frombuffer(digests, "<u8"), np.frombuffer(starts, "<u4"))
            # Of a test set, and beside a manifest, where rows begin was all that was kept.
            alone = IndexedShard(name, len(rows.digests), 0, etag, "", 0, ())
            shard = known.get((name, etag), alone)
            if wanted(shard):
                yield Read(shard, bad.get(name, []), rows)


def forget(place: str) -> None:
    """Remove what of an older index in `place` has been taken up."""
    with suppress(DataError):
        if exists(f"{place}/{ROWS_NAME}"):
            at(place).remove(f"{place}/{ROWS_NAME}")


def _lines(place: str) -> Iterator[tuple[Any, ...]]:
    # Without a buffer a column of the whole file is read at once.
    opened = pq.ParquetFile(RangedFile(place), pre_buffer=False, buffer_size=BUFFER_BYTES)
    names = ("shard", "etag", "digests", "starts")
    for batch in opened.iter_batches(LINES, columns=list(names), use_threads=False):
        yield from zip(*(batch.column(name).to_pylist() for name in names), strict=True)
