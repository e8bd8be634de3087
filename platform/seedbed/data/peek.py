"""How many pairs a corpus has, from a manifest or an index: nothing else is read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from seedbed.data.corpus import Corpus
from seedbed.data.holdout import HOLDOUT_MAX, num_held_out
from seedbed.data.shards.source import ALL, Counted, counts_at
from seedbed.data.weighted_source import no_split
from seedbed.errors import DataError
from seedbed.storage.address import Source, parse_sources


@dataclass(frozen=True)
class Peeked:
    """The pairs to train on in an epoch, and those held out; None where the number is unknown.

    `at_most` where filters or a list of uids will remove some of them. `pair_bytes` are those of a
    pair as it is stored, on average; 0 where that is not known. `group_rows` are, of the
    group that a row is read with, those that are trained on, on average; 0 where rows are read one
    by one.
    """

    corpus: Corpus
    num_train: int | None
    num_test: int | None
    at_most: bool
    pair_bytes: float = 0.0
    group_rows: float = 0.0

    def to_json(self) -> dict[str, object]:
        """Plain JSON values."""
        return {
            "uri": self.corpus.uri,
            "num_train": self.num_train,
            "num_test": self.num_test,
            "at_most": self.at_most,
        }


def peek(corpora: Iterable[Corpus], home: Path) -> list[Peeked]:
    """What is known of each distinct corpus of a study.

    Raises DataError for a folder that is not there, for an inconsistent manifest or one without
    the split to train on, and where more pairs are to be taken than there are.
    """
    stated = list(dict.fromkeys(corpora))
    places = {s for c in stated for text in (c.uri, c.test_uri) if text for s in _uris(text)}
    known = {uri: counts_at(uri, home) for uri in sorted(places)}
    trained = {uri for c in stated for uri in _uris(c.uri)}
    tested = {(uri, c.test_split) for c in stated for uri in _uris(c.test_uri or c.uri)}
    return [_peeked(c, known, trained, tested) for c in stated]


def _peeked(
    corpus: Corpus,
    known: dict[str, Counted | None],
    trained: set[str],
    tested: set[tuple[str, str]],
) -> Peeked:
    def held(uri: str, split: str) -> int | None:
        there = known[uri]
        if there is None:
            return None
        counts = there.rows
        rows = sum(counts.values())
        in_part = num_held_out(rows) if uri in trained else min(rows, HOLDOUT_MAX)
        return counts.get(split, in_part)

    def left(source: Source) -> int | None:
        there = known[source.uri]
        if there is None:
            return None
        counts = there.rows
        if corpus.split not in counts and ALL not in counts:
            raise no_split(corpus, source.uri, counts)
        rows = counts.get(corpus.split, counts.get(ALL, 0))
        apart = [split for uri, split in tested if uri == source.uri and split not in counts]
        part = num_held_out(sum(counts.values())) if apart else 0
        return max(0, rows - part)

    sources = parse_sources(corpus.uri)
    parts = [left(source) for source in sources]
    tests = [held(uri, corpus.test_split) for uri in _uris(corpus.test_uri or corpus.uri)]
    total: int | None = None
    if None not in parts:
        # Rows are chosen first, and then come as often as their source's weight says.
        distinct = sum(part or 0 for part in parts)
        chosen = distinct * corpus.fraction
        if corpus.take > math.ceil(chosen):
            raise DataError(
                f"Selection.take is {corpus.take:,}, and '{corpus.uri}' has {math.ceil(chosen):,} "
                "rows at most to take them from",
                why="it holds the count equal between levels",
                mend=f"take at most {math.ceil(chosen):,}, or fewer where a filter removes some",
            )
        if corpus.take:
            chosen = corpus.take
        each = sum(s.weight * (part or 0) for s, part in zip(sources, parts, strict=True))
        total = round(chosen * each / max(1, distinct))
    counted = [there for uri in _uris(corpus.uri) if (there := known[uri]) is not None]
    rows = sum(sum(there.rows.values()) for there in counted)
    return Peeked(
        corpus,
        total,
        None if None in tests else sum(test or 0 for test in tests),
        bool(corpus.filters or corpus.uids),
        sum(there.num_bytes for there in counted) / max(1, rows),
        _group_rows(counted, rows) * (total or 0) / max(1, rows),
    )


def _group_rows(sources: Sequence[Counted], rows: int) -> float:
    """Of the group that one of all `rows` is in."""
    return sum(sum(one.rows.values()) * one.group_rows for one in sources) / max(1, rows)


def _uris(text: str) -> list[str]:
    return [source.uri for source in parse_sources(text)]
