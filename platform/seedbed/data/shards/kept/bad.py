"""The list of bad samples that is kept beside an index: shard, key, reason."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from seedbed.data.shards.kept.part import Part, bad_of
from seedbed.data.shards.shard_index import Bad
from seedbed.errors import DataError
from seedbed.storage.objects import read_object, write_object
from seedbed.storage.tables import read_table

BAD_NAME = "bad_samples.parquet"
SCHEMA = pa.schema([("shard", pa.string()), ("key", pa.string()), ("reason", pa.string())])


def write_bad(place: str, parts: Sequence[Part]) -> None:
    """Write the bad samples of `parts` to `place`. Raises DataError where that cannot be."""
    out = io.BytesIO()
    with pq.ParquetWriter(out, SCHEMA) as writer:
        for part in parts:  # one at a time: a bad corpus has many
            if part.num_bad:
                writer.write_table(_table(sorted(bad_of(part))))
    write_object(f"{place}/{BAD_NAME}", out.getvalue())


def read_bad(place: str) -> list[Bad]:
    """The bad samples that the index in `place` names."""
    try:
        table = read_table(read_object(f"{place}/{BAD_NAME}"))
        return [(row["shard"], row["key"], row["reason"]) for row in table.to_pylist()]
    except (DataError, pa.ArrowInvalid, KeyError):
        return []


def bad_samples(bad: Iterable[Bad]) -> bytes:
    """The parquet file of bad samples, as they come."""
    out = io.BytesIO()
    pq.write_table(_table(list(bad)), out)
    return out.getvalue()


def _table(rows: Sequence[Bad]) -> pa.Table:
    return pa.table([[row[n] for row in rows] for n in range(3)], schema=SCHEMA)
