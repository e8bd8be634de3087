"""A parquet file of pairs: one row is one sample, its picture in a column of bytes.

Read are a binary column named as below, or the struct {bytes, path} that Hugging Face's
`datasets` writes; every text column is a caption field or a column for filters.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from seedbed.data.shards.formats.format import Indexed, Range, Ranged, ShardFormat
from seedbed.data.shards.sample import PARQUET_IMAGE, RawSample
from seedbed.errors import DataError
from seedbed.storage import tables

PICTURES = ("image", "jpg", "jpeg", "png", "webp", "image_bytes", "img", "bytes")
KEYS = ("__key__", "key", "uid", "id")


class ParquetFormat(ShardFormat):
    """Rows are read by their row groups: no less can be."""

    suffix = ".parquet"
    name = "parquet file"
    grouped = True
    copies = 5  # as a file, a table and samples: 4.8 (measured)

    def indexed(self, path: str, content: bytes) -> Iterator[Indexed]:
        """A sample's members are `img`, its picture, where it has one, and `json`, the rest.

        Raises DataError for a file without a column of pictures.
        """
        table = self._opened(path, content).read(use_threads=False)
        return (Indexed(sample, 0, 0) for sample in _samples(path, table, range(len(table))))

    def starts(self, path: str, content: bytes, bounds: Sequence[int]) -> Sequence[int]:
        metadata = self._opened(path, content).metadata
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        return [0, *accumulate(sizes)]

    def read(self, path: str, shard: Ranged, one: Range) -> list[RawSample]:
        try:
            opened = pq.ParquetFile(shard.as_file(), pre_buffer=False)
            table = opened.read_row_group(one.group, use_threads=False)
        except (pa.ArrowInvalid, OSError) as error:
            raise self.cut_short(path, str(error)) from error
        if not one.wanted or table.num_rows != one.num_rows:  # of another file: the caller says so
            return _samples(path, table, range(one.first, one.first + table.num_rows))
        # Copied: a part of a table would keep all of it in memory.
        table = table.take(pa.array([row - one.first for row in one.wanted]))
        return _samples(path, table, one.wanted)

    def _opened(self, path: str, content: bytes) -> pq.ParquetFile:
        try:
            return tables.opened(content)
        except (pa.ArrowInvalid, OSError) as error:
            raise self.cut_short(path, str(error)) from error


def _samples(path: str, table: pa.Table, numbers: Sequence[int]) -> list[RawSample]:
    pictures = _pictures(path, table)
    plain = [f.name for f in table.schema if _is_plain(f.type)]
    rows = table.select(plain).to_pylist()
    key = next((name for name in KEYS if name in plain), None)
    found = []
    for number, row, picture in zip(numbers, rows, pictures, strict=True):
        members = {"json": json.dumps(row, default=str).encode()}
        if picture is not None:
            members[PARQUET_IMAGE] = picture
        name = row.get(key) if key else None
        # Two rows may have one key here: the row's number tells them apart.
        key_of = f"{number:06}" if name is None else f"{number:06}-{name}"
        found.append(RawSample(key_of, members))
    return found


def _pictures(path: str, table: pa.Table) -> list[bytes | None]:
    for name in PICTURES:
        if name not in table.column_names:
            continue
        kind = table.schema.field(name).type
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            return list(table.column(name).to_pylist())
        if pa.types.is_struct(kind) and any(f.name == "bytes" for f in kind):
            return [value and value["bytes"] for value in table.column(name).to_pylist()]
    raise DataError(
        f"shard {path} has no column of pictures",
        why=f"its columns are {', '.join(table.column_names)}",
        mend=f"name a column of encoded pictures one of {', '.join(PICTURES)}",
    )


def _is_plain(kind: Any) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
    )
