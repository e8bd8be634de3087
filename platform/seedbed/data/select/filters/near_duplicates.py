"""One row of each group of near-duplicate pictures, by their difference hashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from seedbed.data.select.filters.filter import (
    Bits,
    Deduplication,
    Mask,
    Rows,
    column,
    first_of_each,
)

BITS = 64  # of a dHash: 8 x 8 comparisons of neighbouring pixels
MOST = 3  # bits; beyond it, bands are so short that most pictures would share one
FEW, MANY = 64, 1_024  # values of a band: compared by place, and all with all, so many at a time

Pairs = tuple[NDArray[np.int32], NDArray[np.int32]]


@dataclass(frozen=True)
class NearDuplicates(Deduplication):
    """No two rows whose `phash` (uint64, a dHash) differ in `distance` bits or fewer.

    Greedy, in the order of the keys' hashes: a row that is near to one already kept is removed. Of
    a chain a, b, c in that order with only neighbours near, a and c stay. No pair is missed: two
    hashes that differ in at most d bits agree in at least one of d + 1 bands, so only rows that
    share a band are compared.
    """

    distance: int = 3

    columns: ClassVar[frozenset[str]] = frozenset({"phash", "key"})

    def __post_init__(self) -> None:
        self._counts("distance", least=0, most=MOST)

    def digest(self, rows: Rows) -> Bits:
        return column(rows, "phash", self.name).astype(np.uint64)

    def choose(self, digests: Bits, ranks: Bits) -> Mask:
        # An equal hash is near to the first one of it, or to what that was near to.
        keep = first_of_each(digests, ranks)
        rows = np.flatnonzero(keep)
        rows = rows[np.argsort(ranks[rows], kind="stable")]
        values = digests[rows]
        pairs = [_near(values, shift, mask, self.distance) for shift, mask in self._bands()]
        keep[rows[_removed(*_joined(pairs), len(rows))]] = False
        return keep

    def _bands(self) -> list[tuple[int, int]]:
        """distance + 1 runs of bits that make up the hash: (shift, mask) of each."""
        edges = [BITS * n // (self.distance + 1) for n in range(self.distance + 2)]
        return [(a, (1 << (b - a)) - 1) for a, b in pairwise(edges)]


def _near(values: Bits, shift: int, mask: int, distance: int) -> Pairs:
    """Pairs of values [m] that agree in a band and differ in at most `distance` bits.

    The places of the earlier and of the later one.
    """
    band = (values >> np.uint64(shift)) & np.uint64(mask)
    line = np.argsort(band, kind="stable").astype(np.int32)
    band = band[line]
    edges = np.concatenate([[0], np.flatnonzero(band[1:] != band[:-1]) + 1, [len(line)]])
    sizes = np.diff(edges)
    found: list[Pairs] = []
    # Of bands with few values, neighbours 1, 2, … places apart: of all such bands together.
    here = np.flatnonzero(np.repeat(sizes <= FEW, sizes))
    for apart in range(1, FEW):
        here = here[here + apart < len(line)]
        here = here[band[here] == band[here + apart]]
        near = _num_bits(values[line[here]] ^ values[line[here + apart]]) <= distance
        found.append((line[here[near]], line[here[near] + apart]))
    # Of the others all with all, band by band.
    for which in np.flatnonzero(sizes > FEW).tolist():
        first, stop = int(edges[which]), int(edges[which + 1])
        for row in range(first, stop, MANY):
            mine, upto = line[row : min(row + MANY, stop)], line[first : min(row + MANY, stop)]
            near = _num_bits(values[mine][:, None] ^ values[upto]) <= distance
            late, early = np.nonzero(np.tril(near, row - first - 1))
            found.append((upto[early], mine[late]))
    return _joined(found)


def _joined(found: Sequence[Pairs]) -> Pairs:
    early, late = (np.concatenate([pair[side] for pair in found]) for side in (0, 1))
    return early, late


def _num_bits(values: Bits) -> NDArray[np.uint8]:
    return np.asarray(np.bitwise_count(values))


def _removed(early: NDArray[np.int32], late: NDArray[np.int32], size: int) -> Mask:
    """Of `size` rows those that are near to an earlier one that stays."""
    removed = np.zeros(size, np.bool_)
    while len(late):
        # Who is near to no earlier row that may stay, stays itself.
        waits = np.zeros(size, np.bool_)
        waits[late] = True
        removed[late[~waits[early]]] = True
        left = ~removed[late] & ~removed[early]
        early, late = early[left], late[left]
    return removed
