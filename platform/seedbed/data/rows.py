"""The rows of a split: which shards, which rows of them, and how often each comes."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from seedbed.data.order import BLOCK_ROWS, Blocks
from seedbed.data.shards.formats import format_of
from seedbed.data.shards.groups import mean_group
from seedbed.data.shards.starts import Starts

NONE, EVERY = -1, (1 << 64) - 1  # limits below and above every row's hash


@dataclass(frozen=True)
class Chosen:
    """What a selection leaves: for all shards end to end, row numbers [m], ascending in a shard.

    `stops` [shards] says where each shard's rows end. A row that comes twice in an epoch stands
    twice. Two arrays, not a list for each shard: there may be a hundred thousand.
    """

    rows: NDArray[np.int32]
    stops: NDArray[np.int64]

    @classmethod
    def of(cls, parts: Iterable[NDArray[np.int64]]) -> Chosen:
        """Of the row numbers of each shard, ascending."""
        small = [part.astype(np.int32) for part in parts]
        return cls(np.concatenate(small), np.cumsum([len(part) for part in small], dtype=np.int64))

    def of_shard(self, shard: int) -> NDArray[np.int64]:
        first = int(self.stops[shard - 1]) if shard else 0
        return self.rows[first : int(self.stops[shard])].astype(np.int64)

    @property
    def digest(self) -> str:
        """sha256 of which rows they are."""
        content = hashlib.sha256(self.stops.astype("<i8").tobytes())
        content.update(self.rows.astype("<i4").tobytes())
        return content.hexdigest()

    @property
    def counts(self) -> tuple[int, ...]:
        return tuple(np.diff(self.stops, prepend=0).tolist())


@dataclass(frozen=True)
class Rows:
    """The rows of a split: per shard its path and the row numbers that belong to it.

    `etags` tell the shards' contents from others; () for shards that nobody watches. `num_bytes`
    are the shards', () where they are not known.
    `fingerprint` is the content's, not the place's. `holdout`: None for all rows, else those in
    (True) or not in the part that is held out: the rows of a shard whose hash is at most its
    limit (`limits`, NONE to EVERY). `apart` are rows left out besides, by the shard's number.
    `chosen` is what a selection left of them.
    """

    paths: tuple[str, ...]
    num_rows: tuple[int, ...]  # rows in the shard, whether they belong to the split or not
    fingerprint: str
    starts: Starts
    holdout: bool | None = None
    limits: tuple[int, ...] = ()
    etags: tuple[str, ...] = ()
    num_bytes: tuple[int, ...] = ()
    chosen: Chosen | None = None
    apart: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    def of_shard(self, shard: int) -> NDArray[np.int64]:
        """The row numbers [n] of `shard` that belong to this split, ascending.

        A row that comes twice in an epoch stands twice.
        """
        if self.chosen is not None:
            return self.chosen.of_shard(shard)
        rows = np.arange(self.num_rows[shard])
        if self.holdout is not None:
            rows = rows[held_out(self.paths[shard], rows, self.limits[shard]) == self.holdout]
        if shard in self.apart:
            rows = rows[~np.isin(rows, self.apart[shard])]
        return rows

    def only(self, shard: int) -> Rows:
        """The rows of one shard, as those of a split; where they begin is left out."""
        return Rows(
            paths=self.paths[shard : shard + 1],
            num_rows=self.num_rows[shard : shard + 1],
            fingerprint=self.fingerprint,
            starts=Starts.of([]),
            holdout=self.holdout,
            limits=self.limits[shard : shard + 1],
            apart={0: self.apart[shard]} if shard in self.apart else {},
        )

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """How many rows of each shard belong to this split."""
        if self.chosen is not None:
            return self.chosen.counts
        if self.holdout is None and not self.apart:
            return self.num_rows
        return tuple(len(self.of_shard(shard)) for shard in range(len(self.paths)))

    @cached_property
    def blocks(self) -> Blocks:
        """The rows of the split in blocks: where no less can be read, whole groups."""
        counts = np.array(self.counts)
        grouped = [n for n, path in enumerate(self.paths) if format_of(path).grouped]
        counts[grouped] = 0
        parts = [Blocks.of_counts(counts.tolist())]
        for shard, groups in zip(grouped, self.starts.of_shards(grouped), strict=True):
            at_least = max(1, BLOCK_ROWS * (len(groups) - 1) // max(1, int(groups[-1])))
            edges = np.append(groups[:-1:at_least], groups[-1])
            parts.append(Blocks.of_edges(shard, np.searchsorted(self.of_shard(shard), edges)))
        return Blocks.joined(parts)

    @property
    def num_samples(self) -> int:
        """Samples of one epoch."""
        return sum(self.counts)

    @cached_property
    def group_rows(self) -> float:
        """Of the group that a row is read with, those that belong to the split, on average; 0 where
        rows are read one by one."""
        grouped = [n for n, path in enumerate(self.paths) if format_of(path).grouped]
        total = sum(self.num_rows)
        return mean_group(self.starts.of_shards(grouped), total) * self.num_samples / total

    def bytes_of(self, shard: int) -> int:
        return self.num_bytes[shard] if self.num_bytes else 0

    def etag(self, shard: int) -> str:
        return self.etags[shard] if self.etags else ""


def held_out(path: str, rows: NDArray[np.int64], limit: int) -> NDArray[np.bool_]:
    """Which of the `rows` [n] of the shard at `path` are held out at `limit`: bool [n]."""
    if limit in (NONE, EVERY):
        return np.full(len(rows), limit == EVERY)
    return np.asarray(row_hashes(path, rows) <= np.uint64(limit))


def row_hashes(path: str, rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    """64 well-mixed bits for each row, of its number and its shard's name without the folder.

    By SplitMix64 (Steele et al. 2014).
    """
    shard = zlib.crc32(PurePosixPath(path).name.encode())
    state = (np.uint64(shard) << np.uint64(32)) + rows.astype(np.uint64)
    with np.errstate(over="ignore"):  # arithmetic is modulo 2^64
        state = (state + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(state ^ (state >> np.uint64(31)))
