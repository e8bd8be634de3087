"""Which sample comes when: a pure function of (fingerprint, filters, seed, epoch), and no more.

The fingerprint that is given to an Order is that of the rows: a selection's own is part of it.

Shards are permuted for each epoch, taken in windows of a few, and the rows of a window are
permuted among themselves; an epoch is every row exactly once. The stream of samples is the
epochs end to end, so sample number n is row n mod N of epoch n div N. Step t of a run with
global batch B reads the samples tB to (t+1)B - 1, and rank r of W the r-th part of those: the
order knows no worker, so any number of workers sees the same global batches, and a run that
resumes at step t, with whatever workers, reads on exactly where it stood.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Raised when the same rows and seed come in another order than before: what was trained in the
# old one is not paired with the new, and cannot go on in it.
ORDER_SCHEMA = 1
SHARD_BIT, COPY_BIT = 32, 24  # where a sample's id holds the shard, and which copy it is


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
class Window:
    """A few shards whose rows are shuffled together, and where they stand in the stream."""

    epoch: int
    index: int  # within the epoch
    shards: tuple[int, ...]
    start: int  # number of the window's first sample in the stream
    num_samples: int


class Order:
    """The order of a split's samples for one seed.

    `counts` rows per shard; `window_shards` shards shuffled together.
    """

    def __init__(
        self, counts: Sequence[int], *, fingerprint: str, seed: int, window_shards: int
    ) -> None:
        self.counts = tuple(counts)
        self.num_samples = sum(self.counts)
        self.window_shards = window_shards
        self._parts = (fingerprint, seed)
        if self.num_samples <= 0:
            raise ValueError("an order needs at least one sample")

    def windows(self, epoch: int) -> Iterator[Window]:
        """The windows of one epoch, in stream order."""
        shards = permutation(len(self.counts), *self._parts, epoch, "shards").tolist()
        start = epoch * self.num_samples
        for index, first in enumerate(range(0, len(shards), self.window_shards)):
            members = tuple(shards[first : first + self.window_shards])
            num_samples = sum(self.counts[shard] for shard in members)
            if num_samples:
                yield Window(epoch, index, members, start, num_samples)
            start += num_samples

    def between(self, start: int, stop: int) -> Iterator[Window]:
        """The windows that hold any of the samples numbered start to stop - 1."""
        for epoch in range(start // self.num_samples, -(-stop // self.num_samples)):
            for window in self.windows(epoch):
                if window.start < stop and window.start + window.num_samples > start:
                    yield window

    def rows(self, window: Window) -> NDArray[np.int64]:
        """The window's samples in stream order: [n, 2] of (shard, position among its rows)."""
        pairs = np.concatenate(
            [
                np.stack([np.full(self.counts[shard], shard), np.arange(self.counts[shard])], 1)
                for shard in window.shards
            ]
        ).astype(np.int64)
        return pairs[permutation(len(pairs), *self._parts, window.epoch, "rows", window.index)]


def owned(
    window: Window, *, start: int, stop: int, batch: int, rank: int, world: int
) -> NDArray[np.int64]:
    """Which of the window's positions [n] `rank` of `world` reads, of samples start to stop - 1.

    A global batch of `batch` samples is cut into `world` equal runs, one for each rank.
    """
    number = window.start + np.arange(window.num_samples)
    mine = (number % batch) // (batch // world) == rank
    return np.flatnonzero(mine & (number >= start) & (number < stop))
