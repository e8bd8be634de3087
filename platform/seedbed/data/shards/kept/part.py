"""A part of an index: a file of Arrow's IPC format about some neighbouring shards of a source.

It is written once, and its name is the digest of its content. A shard's line has what is known of
the shard, then its bad samples, then where its rows begin and their pictures' digests. The numbers
of all lines of a part lie end to end; where they begin is noted beside, so that those of one shard
are one read, and what is known of the shards is read without them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import xxhash

from seedbed.data.shards.kept.column import Column, Held, Mapped, Ranged, gone
from seedbed.data.shards.row_index import RowIndex
from seedbed.data.shards.shard_index import Bad, IndexedShard, Read
from seedbed.storage.objects import at, read_object

SUFFIX = ".arrow"
PART_BYTES = 64_000_000  # of a full part's numbers: an index of 400 million rows has 75 parts
SHARD_BYTES = 256  # of a line beside its numbers, about
STARTS, DIGESTS = "<u4", "<u8"


def _numbers(kind: Any) -> Any:
    return pa.large_list(pa.field("item", kind, nullable=False))


HEAD = [
    ("name", pa.string()),
    ("num_samples", pa.int64()),
    ("num_bytes", pa.int64()),
    ("etag", pa.string()),
    ("digest", pa.string()),
    ("num_bad", pa.int64()),
    ("captions", pa.list_(pa.string())),
    ("num_starts", pa.int64()),
]
SCHEMA = pa.schema(
    [
        *HEAD,
        ("bad", pa.list_(pa.struct([("key", pa.string()), ("reason", pa.string())]))),
        ("starts", _numbers(pa.uint32())),
        ("digests", _numbers(pa.uint64())),
    ]
)


class Line(NamedTuple):
    """What a part has of a shard, but for its rows; `num_starts` are the numbers that say where
    these begin. A shard without a digest may have changed while it was read."""

    shard: IndexedShard
    num_starts: int


@dataclass(frozen=True)
class Part:
    """Where a part lies, what it holds, and at which of its bytes its numbers begin.

    `first` is the name of its first shard. `content` where it lies in memory and nowhere else.
    """

    place: str
    first: str
    num_bytes: int
    num_shards: int
    num_rows: int
    num_starts: int
    num_bad: int
    starts_at: int
    digests_at: int
    content: bytes = field(default=b"", repr=False)

    @property
    def is_full(self) -> bool:
        return weight(self.num_shards, self.num_rows, self.num_starts) >= PART_BYTES

    def starts(self, *, private: bool, kept: bool) -> Column:
        """As `Mapped` and `Ranged` have it."""
        return self._column(self.starts_at, self.num_starts, STARTS, private=private, kept=kept)

    def digests(self, *, private: bool, kept: bool) -> Column:
        return self._column(self.digests_at, self.num_rows, DIGESTS, private=private, kept=kept)

    def _column(self, start: int, count: int, kind: str, *, private: bool, kept: bool) -> Column:
        if self.content:
            return Held(np.frombuffer(self.content, kind, count, start))
        if "://" in self.place:
            return Ranged(self.place, start, count, kind, kept)
        return Mapped(self.place, start, count, kind, private)


def weight(num_shards: int, num_rows: int, num_starts: int) -> int:
    """Bytes of a part of so many, about; the same for the same shards, whatever is wrong in them"""
    return SHARD_BYTES * num_shards + 8 * num_rows + 4 * num_starts


def packed(reads: Sequence[Read]) -> bytes:
    """The content of a part of these shards."""
    shards = [read.shard for read in reads]
    columns: dict[str, Any] = {
        name: pa.array([getattr(shard, name) for shard in shards], kind)
        for name, kind in HEAD
        if name != "num_starts"
    }
    starts, digests = ([one.rows[n] for one in reads] for n in (1, 0))
    columns["num_starts"] = pa.array([len(one) for one in starts], pa.int64())
    bad = [[{"key": key, "reason": why} for _, key, why in read.bad] for read in reads]
    columns["bad"] = pa.array(bad, SCHEMA.field("bad").type)
    columns["starts"] = _end_to_end(starts, "starts")
    columns["digests"] = _end_to_end(digests, "digests")
    out = io.BytesIO()
    with pa.ipc.new_file(out, SCHEMA) as writer:
        writer.write_batch(pa.record_batch([columns[name] for name in SCHEMA.names], schema=SCHEMA))
    return out.getvalue()


def _end_to_end(parts: Sequence[Any], name: str) -> Any:
    stops = np.cumsum([0, *(len(part) for part in parts)], dtype=np.int64)
    kind = SCHEMA.field(name).type
    values = pa.array(np.concatenate(parts), kind.value_type)
    return pa.LargeListArray.from_arrays(pa.array(stops), values, type=kind)


def name_of(content: bytes) -> str:
    return xxhash.xxh3_128_hexdigest(content) + SUFFIX


def part_of(place: str, content: bytes, *, held: bool = False) -> Part:
    """The part with this `content`, which lies in `place`, or where it is `held` nowhere else.

    Raises pa.ArrowInvalid where it is none.
    """
    buffer = pa.py_buffer(content)
    batch = _batch(buffer)
    starts, digests = (batch.column(name).values for name in ("starts", "digests"))
    return Part(
        place,
        batch.column("name")[0].as_py(),
        len(content),
        batch.num_rows,
        len(digests),
        len(starts),
        sum(batch.column("num_bad").to_pylist()),
        starts.buffers()[1].address - buffer.address,
        digests.buffers()[1].address - buffer.address if len(digests) else len(content),
        content if held else b"",
    )


def lines_of(part: Part) -> list[Line]:
    """What `part` has of its shards.

    Raises DataError, OSError and pa.ArrowInvalid where it is gone or
    damaged.
    """
    rows = _batch(_without_numbers(part), range(len(HEAD))).to_pylist()
    return [_line(row) for row in rows]


def reads_of(part: Part) -> Iterator[Read]:
    """All that `part` has of its shards. Raises as `lines_of` does."""
    batch = _batch(pa.py_buffer(part.content or read_object(part.place)))
    head = batch.select([name for name, _ in HEAD]).to_pylist()
    starts, digests = (batch.column(name) for name in ("starts", "digests"))
    for row, (values, bad) in enumerate(zip(head, batch.column("bad").to_pylist(), strict=True)):
        shard = _line(values).shard
        # Copied: one shard that is kept would keep the numbers of all.
        rows = RowIndex(digests[row].values.to_numpy().copy(), starts[row].values.to_numpy().copy())
        yield Read(shard, [(shard.name, one["key"], one["reason"]) for one in bad], rows)


def bad_of(part: Part) -> list[Bad]:
    """The bad samples of its shards. Raises as `lines_of` does."""
    columns = [SCHEMA.get_field_index(name) for name in ("name", "bad")]
    rows = _batch(_without_numbers(part), columns).to_pylist()
    return [(row["name"], one["key"], one["reason"]) for row in rows for one in row["bad"]]


def _line(row: dict[str, Any]) -> Line:
    values = {**row, "captions": tuple(row["captions"])}
    num_starts = values.pop("num_starts")
    values.pop("bad", None)
    return Line(IndexedShard(**values), num_starts)


def _batch(buffer: Any, columns: Sequence[int] | None = None) -> Any:
    """Some columns of a part, or all. In this thread: see `seedbed.storage.tables.opened`."""
    options = pa.ipc.IpcReadOptions(included_fields=list(columns or ()), use_threads=False)
    return pa.ipc.open_file(pa.BufferReader(buffer), options=options).get_batch(0)


def _without_numbers(part: Part) -> Any:
    """The bytes of `part`, of which those of its numbers are read by nobody."""
    if part.content:
        return pa.py_buffer(part.content)
    if "://" in part.place:
        content = np.zeros(part.num_bytes, np.uint8)  # memory that nobody touches costs nothing
        after = min(part.digests_at + 8 * part.num_rows, part.num_bytes)
        for start, stop in ((0, part.starts_at), (after, part.num_bytes)):
            content[start:stop] = np.frombuffer(_bytes_of(part.place, start, stop), np.uint8)
        return pa.py_buffer(content)
    with pa.memory_map(part.place) as opened:
        buffer = opened.read_buffer()
    if buffer.size != part.num_bytes:
        raise gone(part.place, f"it has {buffer.size:,} bytes; the index says {part.num_bytes:,}")
    return buffer


def _bytes_of(place: str, start: int, stop: int) -> bytes:
    content: bytes | None = at(place).read(place, start, stop)
    if content is None or len(content) != stop - start:
        raise gone(place, f"bytes {start:,} to {stop:,} of it were asked for")
    return content
