"""Corpora opened: their shards found and counted, and what is held out of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from seedbed.data.assembly import Assembly
from seedbed.data.corpus import Corpus
from seedbed.data.holdout import HeldOut, hold_out, in_order, limits_by_place
from seedbed.data.overlap import RowIndexes, TestPictures
from seedbed.data.rows import Rows
from seedbed.data.select.selection import Removal
from seedbed.data.shards.manifest import Provenance
from seedbed.data.shards.source import OpenSource, open_source
from seedbed.data.shards.spread import Spread, in_threads
from seedbed.data.weighted_source import WeightedSource, shards_of_split
from seedbed.storage.address import parse_sources


@dataclass(frozen=True)
class OpenCorpus:
    """A corpus whose shards have been found and counted.

    `steps` are what the selection removed, and `sources` where the pairs came from, where known.
    """

    corpus: Corpus
    train: Rows
    test: Rows
    fingerprint: str
    sources: tuple[Provenance, ...]
    steps: tuple[Removal, ...] = ()


def open_corpus(corpus: Corpus, home: Path) -> OpenCorpus:
    """Find and count the shards of `corpus`. Raises DataError when they are not as stated."""
    return open_corpora([corpus], home)[corpus]


def open_corpora(
    corpora: Iterable[Corpus],
    home: Path,
    *,
    spread: Spread = in_threads,
    others: Sequence[TestPictures] = (),
) -> dict[Corpus, OpenCorpus]:
    """Each distinct corpus of a study, opened; a source that several name is looked at once.

    `spread` reads the shards of which nobody knows where their rows begin. Raises DataError where
    one is not as stated, or where pictures that are tested on, or are of the other test sets
    `others`, are also trained on.
    """
    stated = list(dict.fromkeys(corpora))
    sources: dict[str, OpenSource] = {}

    def at(uri: str) -> OpenSource:
        if uri not in sources:
            sources[uri] = open_source(uri, home, spread=spread)
        return sources[uri]

    weighted = {
        c: [WeightedSource(at(s.uri), s.weight) for s in parse_sources(c.uri)] for c in stated
    }
    shards = {c: shards_of_split(c, weighted[c]) for c in stated}
    trained = {
        weighted[c][number].source.places[name] for c in stated for number, name in shards[c]
    }
    held: dict[Corpus, list[HeldOut]] = {}
    for c in stated:
        named = [at(s.uri) for s in parse_sources(c.test_uri)] if c.test_uri else []
        held[c] = [
            hold_out(s, c.test_split, trained=bool(trained & set(s.places.values())))
            for s in in_order(named or [one.source for one in weighted[c]])
        ]
    limits = limits_by_place(one for every in held.values() for one in every)
    indexes = RowIndexes(spread)
    return {
        c: _opened(Assembly(c, weighted[c], shards[c], held[c], limits, home), indexes, others)
        for c in stated
    }


def _opened(assembly: Assembly, indexes: RowIndexes, others: Sequence[TestPictures]) -> OpenCorpus:
    train, test, steps = assembly.rows(indexes)
    for one in others:
        assembly.check_apart(train, one, indexes)
    fingerprint = assembly.fingerprint(train, test)
    sources = tuple(s for one in assembly.weighted for s in one.source.manifest.sources)
    return OpenCorpus(
        assembly.corpus,
        train,
        test,
        fingerprint,
        sources,
        steps,
    )
