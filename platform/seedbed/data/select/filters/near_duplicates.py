"""One row of each group of near-duplicate pictures, by their difference hashes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from seedbed.data.select.filters.filter import Filter, Mask, Rows, by_hash, column

BITS = 64  # of a dHash: 8 x 8 comparisons of neighbouring pixels
MOST = 3  # bits; beyond it, bands are so short that most pictures would share one


@dataclass(frozen=True)
class NearDuplicates(Filter):
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

    def keep(self, rows: Rows) -> Mask:
        hashes = column(rows, "phash", self.name).astype(np.uint64).tolist()
        keep = np.zeros(len(hashes), np.bool_)
        bands = self._bands()
        kept: dict[tuple[int, int], list[int]] = defaultdict(list)
        seen: set[int] = set()
        for row in by_hash(column(rows, "key", self.name)).tolist():
            value = hashes[row]
            if value in seen:  # an equal hash: near to it, or to what it was near to
                continue
            seen.add(value)
            places = [(n, value >> shift & mask) for n, (shift, mask) in enumerate(bands)]
            near = any(
                (value ^ other).bit_count() <= self.distance
                for place in places
                for other in kept[place]
            )
            if not near:
                keep[row] = True
                for place in places:
                    kept[place].append(value)
        return keep

    def _bands(self) -> list[tuple[int, int]]:
        """distance + 1 runs of bits that make up the hash: (shift, mask) of each."""
        edges = [BITS * n // (self.distance + 1) for n in range(self.distance + 2)]
        return [(a, (1 << (b - a)) - 1) for a, b in pairwise(edges)]
