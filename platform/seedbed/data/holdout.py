"""Which rows are held out for testing: one rule for every corpus of a study.

A source whose manifest has the test split is tested on it. Any other is tested on a part of its
rows if some corpus of the study trains on it, and as a whole if none does. What is held out is
excluded from training by every corpus that reads the same shards. The part is a function of the
source alone (its shards' names and counts): it does not depend on the corpus that names the source,
on the sources beside it, or on weights and filters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from seedbed.data.rows import EVERY, NONE, row_hashes
from seedbed.data.shards.source import OpenSource

HOLDOUT_ONE_IN = 20  # of the rows, where that is neither too few nor too many:
# At least twice the 100 candidate names of a picture, since some names repeat, but never more than
# a quarter of the rows.
HOLDOUT_MIN, HOLDOUT_MIN_ONE_IN = 200, 4
# Every rank keeps its part in memory, 1.5 GB in all at 224 px, and each picture is compared with
# all names. An accuracy over so many has a standard error of half a point at most.
HOLDOUT_MAX = 10_000
# Only the smallest hashes are sorted: this many times the number wanted, and this many more.
SPARE, SPARE_ROWS = 4, 64


@dataclass(frozen=True)
class HeldOut:
    """The held-out rows of a source: for each shard, those with a hash up to the limit."""

    source: OpenSource
    limits: Mapping[str, int]

    @property
    def in_part(self) -> bool:
        """Whether there is no described split, and the rule held out some of the rows."""
        return any(limit != EVERY for limit in self.limits.values())


def brings(source: OpenSource, split: str) -> bool:
    """Whether `source` has a manifest, and that has the split `split`."""
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
    """The hash limit that holds out `wanted` rows of the shards (name to number of rows)."""
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
    # Shards of one name in several folders have equal hashes: hold out no tie rather than too many.
    too_many = np.searchsorted(line, limit, side="right") > wanted
    return int(below[-1] if too_many and len(below) else limit)


def limits_by_place(every: Iterable[HeldOut]) -> dict[str, int]:
    """The highest hash limit of any source for each place: it contains the lower ones."""
    limits: dict[str, int] = {}
    for one in every:
        for name, limit in one.limits.items():
            place = one.source.places[name]
            limits[place] = max(limit, limits.get(place, NONE))
    return limits


def in_order(sources: Sequence[OpenSource]) -> list[OpenSource]:
    """Each source once, ordered by content, so that `a::b` and `b::a@2` are tested alike."""
    once = {source.uri: source for source in sources}
    return sorted(once.values(), key=lambda source: (source.manifest.fingerprint, source.uri))
