"""Whether pictures that are tested on are also trained on: by their bytes, whatever their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seedbed.data.holdout import HeldOut
from seedbed.data.rows import held_out
from seedbed.data.shards.kept.table import RowTable
from seedbed.data.shards.known_rows import Shard, row_indexes
from seedbed.data.shards.row_index import NO_PICTURE, Digests
from seedbed.data.shards.samples import read_shard
from seedbed.data.shards.source import OpenSource
from seedbed.data.shards.spread import Spread, in_threads
from seedbed.data.shards.starts import SourceStarts
from seedbed.errors import DataError

MAX_NAMED = 3  # examples in a message
MARK_BITS = 20
MARK_SHIFT = np.uint64(64 - MARK_BITS)


@dataclass
class RowIndexes:
    """What is known of the rows of a study's sources, each read once; `spread` reads the rest."""

    spread: Spread = in_threads
    _by_uri: dict[str, RowTable] = field(default_factory=dict)
    _starts: dict[str, SourceStarts] = field(default_factory=dict)

    def of(self, source: OpenSource) -> RowTable:
        """By the shard's name, for every shard of `source`."""
        if source.uri not in self._by_uri:
            shards = [
                Shard(s.name, source.places[s.name], source.etags[s.name], s.num_bytes, s.sha256)
                for s in source.manifest.shards
            ]
            self._by_uri[source.uri] = row_indexes(shards, source.kept_in, spread=self.spread)
        return self._by_uri[source.uri]

    def starts(self, source: OpenSource) -> SourceStarts:
        """Where the rows of `source` begin: the same for all corpora that it is part of."""
        if source.uri not in self._starts:
            self._starts[source.uri] = SourceStarts.of_table(self.of(source))
        return self._starts[source.uri]


@dataclass(frozen=True)
class HeldOutPictures:
    """The digests of what is tested, ascending [n].

    At most so many as a test set has: what is trained on is compared with them shard by shard.
    """

    tests: Sequence[HeldOut]
    digests: Digests

    mend = (
        "take them out of the one or the other, or give Corpus.test_uri pairs that no trial trains "
        "on"
    )

    @classmethod
    def of(cls, tests: Sequence[HeldOut], indexes: RowIndexes) -> HeldOutPictures:
        tested = [np.empty(0, np.uint64)]
        for one in tests:
            known = indexes.of(one.source)
            rows = {
                name: np.flatnonzero(held_out(name, np.arange(known.num_rows(name)), limit))
                for name, limit in one.limits.items()
            }
            some = [name for name in rows if len(rows[name])]
            tested += [digests[rows[name]] for name, digests in known.all_digests(some)]
        unique = np.unique(np.concatenate(tested))
        return cls(tests, unique[unique != NO_PICTURE])

    @cached_property
    def _set(self) -> DigestSet:
        return DigestSet(self.digests)

    def among(self, digests: Digests) -> NDArray[np.int64]:
        """The row numbers of a shard with such `digests` whose pictures are tested."""
        return self._set.among(digests)

    def where(self, digest: int, indexes: RowIndexes) -> str:
        """Shard and key of one tested picture."""
        for one in self.tests:
            known = indexes.of(one.source)
            for name, digests in known.all_digests(one.limits):
                for row in np.flatnonzero(digests == digest).tolist():
                    if held_out(name, np.array([row]), one.limits[name])[0]:
                        return named(one.source, name, row)
        raise LookupError(f"no tested picture has the digest {digest}")


@dataclass(frozen=True)
class TestPictures:
    """The pictures of a test set that is no part of a corpus, by their shards' places."""

    __test__ = False  # not a test class, whatever its name says to pytest
    name: str
    by_place: Mapping[str, Digests]

    @cached_property
    def digests(self) -> Digests:
        """Ascending, each once."""
        parts = [np.empty(0, np.uint64), *self.by_place.values()]
        unique = np.unique(np.concatenate(parts))
        return unique[unique != NO_PICTURE]

    @property
    def mend(self) -> str:
        return f"take them out of the corpus or of the test set '{self.name}'"

    @cached_property
    def _set(self) -> DigestSet:
        return DigestSet(self.digests)

    def among(self, digests: Digests) -> NDArray[np.int64]:
        """The row numbers of a shard with such `digests` whose pictures it has."""
        return self._set.among(digests)

    def where(self, digest: int, indexes: RowIndexes) -> str:
        """Shard and key of one of its pictures."""
        for place, digests in self.by_place.items():
            for row in np.flatnonzero(digests == digest).tolist():
                return f"{place}/{read_shard(place)[row].key}"
        raise LookupError(f"no picture of {self.name} has the digest {digest}")


@dataclass(frozen=True)
class DigestSet:
    """Digests, ascending, each once, among which others are looked for."""

    digests: Digests

    def among(self, others: Digests) -> NDArray[np.int64]:
        """Which of `others` are among them, ascending: by number."""
        maybe = np.flatnonzero(self._marks[others >> MARK_SHIFT])
        if not len(maybe):
            return maybe
        place = np.searchsorted(self.digests, others[maybe])
        place[place == len(self.digests)] = 0
        return maybe[self.digests[place] == others[maybe]]

    @cached_property
    def _marks(self) -> NDArray[np.bool_]:
        """Whether one begins with these bits: of 10,000 it tells 99 of 100 others in a glance."""
        marks = np.zeros(1 << MARK_BITS, bool)
        marks[self.digests >> MARK_SHIFT] = True
        return marks


def named(source: OpenSource, shard: str, row: int) -> str:
    """The place and key of a sample, for a message; its shard is read."""
    place = source.places[shard]
    return f"{place}/{read_shard(place)[row].key}"


@dataclass(frozen=True)
class Seen:
    """Rows to train on whose pictures are tested: a source, a shard of it, row numbers [n]."""

    source: OpenSource
    shard: str
    rows: NDArray[np.int64]


class SharedError(DataError):
    """Pictures that are tested on are also trained on."""


def refusal(
    uri: str,
    seen: Sequence[Seen],
    tested: HeldOutPictures | TestPictures,
    num_tested: int,
    indexes: RowIndexes,
) -> SharedError:
    """The error for a corpus `uri` that trains on rows `seen`."""
    by_part = [indexes.of(one.source).digests(one.shard)[one.rows] for one in seen]
    digests = np.concatenate(by_part)
    examples: dict[int, str] = {}
    for one, part in zip(seen, by_part, strict=True):
        for row, digest in zip(one.rows.tolist(), part.tolist(), strict=True):
            if len(examples) < MAX_NAMED and digest not in examples:
                ours = named(one.source, one.shard, row)
                examples[digest] = f"{ours} is {tested.where(digest, indexes)}"
    return SharedError(
        f"{len(np.unique(digests)):,} of the {num_tested:,} pictures to be tested on are among "
        f"those that '{uri}' trains on",
        why=f"a model knows again what it was trained on; {'; '.join(examples.values())}",
        mend=tested.mend,
    )
