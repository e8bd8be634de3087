"""A parquet file of pairs: one row is one sample, its picture in a column of bytes.

Read are a binary column named as below, or the struct {bytes, path} that Hugging Face's
`datasets` writes; every text column is a caption field or a column for filters.
"""

from __future__ import annotations

import json
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from seedbed.data.shards.tar import cut_short
from seedbed.errors import DataError
from seedbed.storage import tables

PICTURES = ("image", "jpg", "jpeg", "png", "webp", "image_bytes", "img", "bytes")
KEYS = ("__key__", "key", "uid", "id")


def count(path: str, content: bytes) -> int:
    """The number of rows, from the footer alone. Raises DataError where there is none."""
    return _opened(path, content).metadata.num_rows


Samples = list[tuple[str, dict[str, bytes]]]


def samples(path: str, content: bytes) -> Samples:
    """Key and members (`img`, `txt`, `json`) of each row, in order.

    The picture is the member `img`, absent where the row has none. Text and number columns
    become the `json` member. Raises DataError for a file without a column of pictures.
    """
    return _samples(path, _opened(path, content).read(use_threads=False), 0)


def group_starts(path: str, content: bytes) -> list[int]:
    """The first row of each row group, and the number of rows."""
    metadata = _opened(path, content).metadata
    sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    return [0, *accumulate(sizes)]


def samples_in(path: str, source: Any, group: int, first_row: int) -> Samples:
    """The rows of one row group, of which `first_row` is the first, of a file that can seek."""
    try:
        opened = pq.ParquetFile(source, pre_buffer=False)
        table = opened.read_row_group(group, use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise cut_short(path, str(error)) from error
    return _samples(path, table, first_row)


def _samples(path: str, table: pa.Table, first_row: int) -> Samples:
    pictures = _pictures(path, table)
    plain = [f.name for f in table.schema if _is_plain(f.type)]
    rows = table.select(plain).to_pylist()
    key = next((name for name in KEYS if name in plain), None)
    found = []
    for number, (row, picture) in enumerate(zip(rows, pictures, strict=True), first_row):
        members = {"json": json.dumps(row, default=str).encode()}
        if picture is not None:
            members["img"] = picture
        name = row.get(key) if key else None
        # Two rows may have one key here: the row's number tells them apart.
        found.append((f"{number:06}" if name is None else f"{number:06}-{name}", members))
    return found


def _opened(path: str, content: bytes) -> pq.ParquetFile:
    try:
        return tables.opened(content)
    except (pa.ArrowInvalid, OSError) as error:
        raise cut_short(path, str(error)) from error


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


def text_columns(path: str, content: bytes) -> tuple[str, ...]:
    """The names of the columns that hold text."""
    schema = _opened(path, content).schema_arrow
    text = (pa.types.is_string, pa.types.is_large_string)
    return tuple(sorted(f.name for f in schema if any(is_text(f.type) for is_text in text)))
