"""Which sample comes when: a pure function of (fingerprint, filters, seed, lanes), and no more.

The fingerprint that is given to an Order is that of the rows: a selection's own is part of it.

A *block* is some neighbouring rows of one shard. For each epoch the blocks of all shards are
permuted and laid end to end, and the N rows of the epoch are cut into L *lanes* of neighbours. A
lane's stream is its parts of all epochs end to end, cut into *windows* of R rows; the rows of a
window are permuted among themselves, those of two epochs apart. Step t of a run with the global
batch B takes the next B/L rows of every lane, lane after lane, and rank r of W reads the lanes
rL/W to (r+1)L/W - 1. So any W that divides L sees the same global batches, each row is read by
one rank once an epoch, and a run that resumes at step t, with whatever ranks, reads on where it
stood.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

# Raised when the same rows and seed come in another order than before: what was trained in the
# old one is not paired with the new, and cannot go on in it.
ORDER_SCHEMA = 2
SHARD_BIT, COPY_BIT = 32, 24  # where a sample's id holds the shard, and which copy it is
# Of a tar: about 3.5 MB of pictures as img2dataset leaves them at 256 px, a range that a bucket
# sends at full speed, and few enough that a batch of the paper's has rows of hundreds of shards.
BLOCK_ROWS = 64
KEPT_EPOCHS = 2  # whose blocks are kept in order: a window lies in one or two, but for tiny corpora


def sample_id(shard: int, row: int, copy: int = 0) -> int:
    """An id unique and stable in a corpus: 31 bits of shard, 8 of copy, 24 of row.

    Copies of a row that comes more than once in an epoch are other samples: each is augmented
    in its own way.
    """
    return (shard << SHARD_BIT) | (copy << COPY_BIT) | row


def derive(*parts: object) -> int:
    """A 128-bit seed from `parts`, the same in every process (unlike `hash`)."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")


def permutation(n: int, *parts: object) -> NDArray[np.int64]:
    """A permutation of range(n) seeded by `parts`.

    By sorting raw Philox words: NumPy promises their stream for ever, `Generator.permutation`
    it does not (NEP 19).
    """
    words = np.random.Philox(key=derive(*parts)).random_raw(n)
    return np.argsort(words, kind="stable").astype(np.int64)


@dataclass(frozen=True)
class Blocks:
    """The rows of a split in blocks [n], ascending by shard and row.

    Block i is the rows at positions `first[i]` to `first[i] + count[i] - 1` among those of
    `shard[i]` that belong to the split.
    """

    shard: NDArray[np.int32]
    first: NDArray[np.int32]
    count: NDArray[np.int32]

    @classmethod
    def of_counts(cls, counts: Sequence[int], rows: int = BLOCK_ROWS) -> Blocks:
        """Of shards of `counts` rows, cut at every `rows` of them."""
        sizes = np.asarray(counts, np.int64)
        blocks = -(-sizes // rows)
        shard = np.repeat(np.arange(len(sizes)), blocks)
        number = np.arange(len(shard)) - np.repeat(np.cumsum(blocks) - blocks, blocks)
        return cls(
            shard.astype(np.int32),
            (number * rows).astype(np.int32),
            np.minimum(rows, sizes[shard] - number * rows).astype(np.int32),
        )

    @classmethod
    def of_edges(cls, shard: int, edges: NDArray[np.int64]) -> Blocks:
        """Of one shard, cut at the positions `edges`, the first and last among them."""
        counts = np.diff(edges)
        some = counts > 0
        return cls(
            np.full(int(some.sum()), shard, np.int32),
            edges[:-1][some].astype(np.int32),
            counts[some].astype(np.int32),
        )

    @classmethod
    def joined(cls, parts: Sequence[Blocks]) -> Blocks:
        """All blocks of `parts`, of different shards, in line."""
        shard = np.concatenate([part.shard for part in parts])
        line = np.argsort(shard, kind="stable")
        return cls(
            shard[line],
            np.concatenate([part.first for part in parts])[line],
            np.concatenate([part.count for part in parts])[line],
        )

    @cached_property
    def num_rows(self) -> int:
        return int(self.count.sum(dtype=np.int64))


@dataclass(frozen=True)
class Picks:
    """Rows of a split in stream order [n]: of which epoch, which shard, and which of its rows."""

    epoch: NDArray[np.int64]
    shard: NDArray[np.int64]
    position: NDArray[np.int64]  # among the shard's rows that belong to the split

    def __len__(self) -> int:
        return len(self.epoch)

    @classmethod
    def of_all(cls, counts: Sequence[int]) -> Picks:
        """Every row of shards with `counts` rows once, shard after shard."""
        sizes = np.asarray(counts, np.int64)
        shard = np.repeat(np.arange(len(sizes)), sizes)
        first = np.repeat(np.cumsum(sizes) - sizes, sizes)
        return cls(np.zeros_like(shard), shard, np.arange(len(shard)) - first)

    def at(self, places: NDArray[np.int64] | slice) -> Picks:
        return Picks(self.epoch[places], self.shard[places], self.position[places])

    @classmethod
    def joined(cls, parts: Sequence[Picks]) -> Picks:
        return cls(
            np.concatenate([part.epoch for part in parts]),
            np.concatenate([part.shard for part in parts]),
            np.concatenate([part.position for part in parts]),
        )


class Order:
    """The order of a split's rows for one seed, in `lanes` lanes and windows of `window_rows`."""

    def __init__(
        self, blocks: Blocks, *, fingerprint: str, seed: int, lanes: int, window_rows: int
    ) -> None:
        self.blocks = blocks
        self.num_samples = blocks.num_rows
        self.lanes, self.window_rows = lanes, window_rows
        self._parts = (fingerprint, seed)
        self._kept: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        if self.num_samples <= 0:
            raise ValueError("an order needs at least one sample")

    def window(self, lane: int, number: int) -> Picks:
        """The rows [R] of window `number` of a lane."""
        first, last = number * self.window_rows, (number + 1) * self.window_rows
        parts = []
        for epoch in range(self._epoch_at(lane, first), self._epoch_at(lane, last - 1) + 1):
            start = self._start(lane, epoch)
            begin, end = max(first, start), min(last, self._start(lane, epoch + 1))
            offset = self._offset(lane, epoch) - start
            within = permutation(end - begin, *self._parts, epoch, "rows", lane, number)
            parts.append(self._rows(epoch, offset + begin + within))
        return Picks.joined(parts)

    def _epoch_at(self, lane: int, place: int) -> int:
        """The epoch of a row of a lane's stream.

        As cards are dealt: row p of lane l is the card pL + l of those that all epochs deal end
        to end. So lanes whose number does not divide N take its odd rows in turn, and no lane is
        ever more than one row ahead of another.
        """
        return (place * self.lanes + lane) // self.num_samples

    def _start(self, lane: int, epoch: int) -> int:
        """The place of a lane's first row of `epoch` in the lane's stream."""
        return -(-(epoch * self.num_samples - lane) // self.lanes)

    def _offset(self, lane: int, epoch: int) -> int:
        """Where the lane's part of `epoch` begins in the epoch: the rows of the lanes before."""

        def dealt(cards: int) -> int:  # to the lanes before, of the first `cards`
            return cards // self.lanes * lane + min(cards % self.lanes, lane)

        return dealt((epoch + 1) * self.num_samples) - dealt(epoch * self.num_samples)

    def _rows(self, epoch: int, places: NDArray[np.int64]) -> Picks:
        """The rows at `places` [n] of an epoch, 0 to N - 1."""
        order, ends = self._layout(epoch)
        found = np.searchsorted(ends, places, side="right")
        block = order[found]
        inside = places - ends[found] + self.blocks.count[block]
        return Picks(
            np.full(len(places), epoch, np.int64),
            self.blocks.shard[block].astype(np.int64),
            self.blocks.first[block] + inside,
        )

    def _layout(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The blocks of an epoch in order, and where each ends."""
        if epoch not in self._kept:
            order = permutation(len(self.blocks.shard), *self._parts, epoch, "blocks")
            while len(self._kept) >= KEPT_EPOCHS:
                del self._kept[next(iter(self._kept))]
            self._kept[epoch] = order, np.cumsum(self.blocks.count[order], dtype=np.int64)
        return self._kept[epoch]
