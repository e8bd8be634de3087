"""An index as it was kept before there were parts: its writer and its reader, for comparison."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from seedbed.data.shards.row_index import RowIndex
from seedbed.data.shards.shard_index import IndexedShard

Known = Mapping[tuple[str, str], RowIndex]  # by the shard's name and etag
SCHEMA = pa.schema(
    [
        ("shard", pa.string()),
        ("etag", pa.string()),
        ("digests", pa.large_binary()),
        ("starts", pa.large_binary()),
    ]
)


def write_rows(place: Path, known: Known) -> None:
    rows = sorted(known.items(), key=lambda pair: pair[0])
    columns = [
        [shard for (shard, _), _ in rows],
        [etag for (_, etag), _ in rows],
        [one.digests.tobytes() for _, one in rows],
        [one.starts.tobytes() for _, one in rows],
    ]
    place.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns, schema=SCHEMA), place / "rows.parquet", compression="none")


def read_rows(place: Path) -> Known:
    """All rows, as lists of Python's."""
    table = pq.read_table(place / "rows.parquet")
    columns = [table.column(name).to_pylist() for name in SCHEMA.names]
    return {
        (shard, etag): RowIndex(np.frombuffer(digests, "<u8"), np.frombuffer(starts, "<u4"))
        for shard, etag, digests, starts in zip(*columns, strict=True)
    }


def write_index(place: Path, shards: Sequence[IndexedShard], begun_ns: int) -> None:
    rows = [asdict(shard) for shard in shards]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    values = {"format": "seedbed-index/3", "begun_ns": begun_ns, "shards": columns}
    place.mkdir(parents=True, exist_ok=True)
    (place / "index.json").write_text(json.dumps(values))
