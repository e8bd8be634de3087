"""Which rows are held out for testing: one rule for every corpus of a study.

A source that brings the split asked for is tested on it. Any other is tested on a part of its
rows where some corpus of the study trains on it, and as a whole where none does. What is tested
is left out of training by every corpus that reads the same shards. The part is a function of the
source alone (its shards' names and counts), so it is the same whoever names the source, beside
whatever others, with whatever weights and filters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from seedbed.data.rows import EVERY, NONE, row_hashes
from seedbed.data.shards.source import OpenSource

HOLDOUT_ONE_IN = 20  # of the rows, where that is neither too few nor too many:
# Twice the 100 names that a picture is told apart from (some names come twice), but never more
# than a quarter of the rows.
HOLDOUT_MIN, HOLDOUT_MIN_ONE_IN = 200, 4
# Every rank holds its part of them in memory, 1.5 GB in all at 224 px, and each is compared with
# the names of all; an accuracy of so many has a standard error of half a point at most.
HOLDOUT_MAX = 10_000
# So much more than the wanted number of small hashes is sorted, not all of a source's.
SPARE, SPARE_ROWS = 4, 64


@dataclass(frozen=True)
class HeldOut:
    """What is tested of a source: by the shard's name, up to which hash its rows are."""

    source: OpenSource
    limits: Mapping[str, int]

    @property
    def in_part(self) -> bool:
        """Whether nobody described a split, and a rule took some of the rows."""
        return any(limit != EVERY for limit in self.limits.values())


def brings(source: OpenSource, split: str) -> bool:
    """Whether whoever described `source` named `split`."""
    return not source.own and any(shard.split == split for shard in source.manifest.shards)


def hold_out(source: OpenSource, split: str, *, trained: bool) -> HeldOut:
    """What is tested of `source`; `trained` says whether some corpus of the study reads it."""
    shards = source.manifest.shards
    if brings(source, split):
        return HeldOut(source, {s.name: EVERY for s in shards if s.split == split})
    num_rows = sum(shard.num_samples for shard in shards)
    wanted = num_held_out(num_rows) if trained else min(num_rows, HOLDOUT_MAX)
    counts = {shard.name: shard.num_samples for shard in shards}
    limit = EVERY if wanted == num_rows else smallest(counts, wanted)
    return HeldOut(source, dict.fromkeys(counts, limit))


def num_held_out(num_rows: int) -> int:
    """How many rows are held out of a source of `num_rows` that is trained on too."""
    least = min(HOLDOUT_MIN, num_rows // HOLDOUT_MIN_ONE_IN)
    return min(HOLDOUT_MAX, max(num_rows // HOLDOUT_ONE_IN, least))


def smallest(counts: Mapping[str, int], wanted: int) -> int:
    """The limit at which `wanted` rows of the shards (name to number of rows) are held out."""
    share = (SPARE * wanted + SPARE_ROWS) / max(1, sum(counts.values()))
    enough = np.uint64(min(EVERY, int(share * 2.0**64)))
    few = []
    for name, num_rows in counts.items():
        hashes = row_hashes(name, np.arange(num_rows))
        few.append(hashes[hashes <= enough])
    line = np.sort(np.concatenate(few)) if few else np.empty(0, np.uint64)
    if not 0 < wanted <= len(line):
        return NONE
    limit = line[wanted - 1]
    below = line[line < limit]
    # Shards of one name in several folders have equal hashes: none of them rather than too many.
    too_many = np.searchsorted(line, limit, side="right") > wanted
    return int(below[-1] if too_many and len(below) else limit)


def limits_by_place(every: Iterable[HeldOut]) -> dict[str, int]:
    """Up to which hash the rows of each place are tested by anyone: a lower limit lies inside."""
    limits: dict[str, int] = {}
    for one in every:
        for name, limit in one.limits.items():
            place = one.source.places[name]
            limits[place] = max(limit, limits.get(place, NONE))
    return limits


def in_order(sources: Sequence[OpenSource]) -> list[OpenSource]:
    """Each source once, in an order of their contents: `a::b` is tested as `b::a@2` is."""
    once = {source.uri: source for source in sources}
    return sorted(once.values(), key=lambda source: (source.manifest.fingerprint, source.uri))
