"""Which bytes of which shards some rows are, and those bytes read: no shard is read whole.

A `Reads` is planned by whoever knows the corpus and carried out by a task that knows nothing of
it, anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seedbed.data.order import Picks, sample_id
from seedbed.data.rows import Rows
from seedbed.data.shards.formats import format_of
from seedbed.data.shards.formats.format import Range
from seedbed.data.shards.sample import RawSample
from seedbed.errors import DataError
from seedbed.storage.ranged import RangedFile

# Fewer bytes between two rows are read and dropped: a bucket takes as long to answer once more.
GAP_BYTES = 65_536
THREADS = 16  # ranges that are read at a time: a bucket answers several in the time of one
# Of a group of rows, until those that are asked for are taken out of it: its bytes in the file, its
# columns, and a copy of what is taken. Fewer groups are read at a time where they are large.
GROUP_COPIES, GROUPS_BYTES = 3, 256_000_000


class ShardAt(NamedTuple):
    """A shard to read from: its number in the split, where it lies, and its etag."""

    number: int
    path: str
    etag: str

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class Reads:
    """Rows in the order in which they are asked for, and the ranges that hold them.

    `picks` [n, 4]: a row's epoch, which of `shards` it lies in, its number there, and which copy.
    """

    shards: tuple[ShardAt, ...]
    ranges: tuple[Range, ...]
    picks: NDArray[np.int64]

    @property
    def num_bytes(self) -> int:
        """To be read; of groups of rows about as many."""
        return sum(one.num_bytes for one in self.ranges)

    @property
    def threads(self) -> int:
        """How many ranges are read at a time."""
        largest = max((one.num_bytes for one in self.ranges if one.wanted), default=0)
        return max(1, min(THREADS, GROUPS_BYTES // max(1, GROUP_COPIES * largest)))

    @property
    def held_bytes(self) -> int:
        """At most in memory at a time: all ranges, of groups the rows that are asked for, and the
        groups that are being read."""
        groups = [one for one in self.ranges if one.wanted]
        taken = sum(one.num_bytes * len(one.wanted) // one.num_rows for one in groups)
        whole = sorted((one.num_bytes for one in groups), reverse=True)[: self.threads]
        plain = self.num_bytes - sum(one.num_bytes for one in groups)
        return plain + taken + GROUP_COPIES * sum(whole)


class Numbered(NamedTuple):
    """A sample with its id and the name of its shard."""

    id: int
    shard: str
    sample: RawSample


def plan_reads(rows: Rows, picks: Picks) -> Reads:
    """Where `picks` of `rows` lie; each byte once, however often a row comes."""
    numbers, inverse = np.unique(picks.shard, return_inverse=True)
    line = np.argsort(inverse, kind="stable")
    ends = np.searchsorted(inverse[line], np.arange(len(numbers)), side="right")
    planned = np.stack([picks.epoch, inverse, np.zeros_like(inverse), np.zeros_like(inverse)], 1)
    shards: list[ShardAt] = []
    ranges: list[Range] = []
    first = 0
    begins = rows.starts.of_shards(numbers.tolist())
    known = zip(numbers.tolist(), ends.tolist(), begins, strict=True)
    for which, (number, end, starts) in enumerate(known):
        mine, first = line[first:end], end
        kept = rows.of_shard(number)
        row = kept[picks.position[mine]]
        planned[mine, 2] = row
        planned[mine, 3] = picks.position[mine] - np.searchsorted(kept, row)
        shards.append(ShardAt(number, rows.paths[number], rows.etag(number)))
        kind = format_of(rows.paths[number])
        if kind.grouped:
            ranges += _groups(which, np.unique(row), starts, rows.bytes_of(number))
        else:
            ranges += _ranges(which, np.unique(row), starts * kind.unit)
    return Reads(tuple(shards), tuple(ranges), planned)


def _ranges(which: int, rows: NDArray[np.int64], starts: NDArray[np.int64]) -> list[Range]:
    """The ranges of bytes that hold `rows` [n], ascending."""
    begins, stops = starts[rows], starts[rows + 1]
    apart = np.flatnonzero(begins[1:] - stops[:-1] > GAP_BYTES) + 1
    firsts, lasts = np.append(0, apart), np.append(apart, len(rows)) - 1
    found = (rows[firsts], rows[lasts] + 1, begins[firsts], stops[lasts])
    return [Range(which, *values) for values in zip(*(v.tolist() for v in found), strict=True)]


def _groups(
    which: int, rows: NDArray[np.int64], starts: NDArray[np.int64], num_bytes: int
) -> list[Range]:
    """The groups that hold `rows` [n], ascending, of a shard of `num_bytes`."""
    groups, firsts = np.unique(np.searchsorted(starts, rows, side="right") - 1, return_index=True)
    parts = np.split(rows, firsts[1:])
    bounds = starts.tolist()
    return [
        Range(
            which,
            bounds[g],
            bounds[g + 1],
            0,
            num_bytes * (bounds[g + 1] - bounds[g]) // bounds[-1],
            g,
            tuple(wanted.tolist()),
        )
        for g, wanted in zip(groups.tolist(), parts, strict=True)
    ]


def samples(reads: Reads) -> Iterator[Numbered]:
    """The samples of `reads` in the order of its picks. Raises DataError as `read_range` does."""
    held: dict[tuple[int, int], RawSample] = {}

    def read(one: Range) -> list[RawSample]:
        return read_range(reads.shards[one.shard], one)

    with ThreadPoolExecutor(reads.threads) as pool:
        for one, found in zip(reads.ranges, pool.map(read, reads.ranges), strict=True):
            numbers = one.wanted or range(one.first, one.last)
            held |= {(one.shard, row): sample for row, sample in zip(numbers, found, strict=True)}
    for _, which, row, copy in reads.picks.tolist():
        shard = reads.shards[which]
        yield Numbered(sample_id(shard.number, row, copy), shard.name, held[which, row])


def read_range(shard: ShardAt, one: Range) -> list[RawSample]:
    """The samples of one range, of a group those that are wanted.

    Raises DataError for a shard that is gone, or has changed.
    """
    opened = RangedFile(shard.path, shard.etag)
    samples = format_of(shard.path).read(shard.path, opened, one)
    if len(samples) != (len(one.wanted) or one.num_rows):
        raise DataError(
            f"shard {shard.path} has {len(samples)} samples where its index says {one.num_rows}",
            why=f"in the bytes {one.start:,} to {one.stop:,}: the index is of another shard",
            mend="remove the index (`_seedbed` beside the shards, or in SEEDBED_HOME/indexes)",
        )
    return samples
