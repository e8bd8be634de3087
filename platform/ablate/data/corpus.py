"""A corpus as a study states it, and the shards behind it once it has been opened."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablate.data.filters.filter import Filter
from ablate.data.manifest import MANIFEST_NAME, Source
from ablate.data.rows import Chosen, Rows, one_in
from ablate.data.selection import Selected, Selection, Step, Table, copies
from ablate.data.source import SPLIT, OpenSource, open_source
from ablate.data.sources import parse_sources
from ablate.data.table import read_columns
from ablate.errors import DataError, nearest

MAX_WEIGHT = 200.0  # a row's number of copies is part of its id, and has 8 bits there


@dataclass(frozen=True)
class Corpus:
    """Image-text shards, the caption to read from them, and which of their pairs.

    `uri` is a folder of webdataset tars or parquet files, the same in a bucket
    (`s3://bucket/prefix`, a glob, or a brace range like `{00000..01242}.tar`), or the name of a
    demo corpus (`demo:emoji`). `::` joins several; `@2` behind one has each of its pairs come
    twice an epoch, `@0.5` half of them.
    `caption` is a field of the sample's json member, or `txt` for its text member.
    `test_split` names the evaluation split; a folder without one keeps a part of its rows.
    `test_uri` evaluates on another corpus, and `test_caption` by another field ("" for the same).
    `uids`, `filters`, `fraction` and `take` choose training pairs, in this order: see
    `Selection`. What is held out is never filtered.
    `window_shards` shards are shuffled together; more mixes better and holds more in memory.
    `max_bad_fraction` of the samples read may be unreadable before the trial stops.
    """

    uri: str = "demo:emoji"
    split: str = "train"
    test_split: str = "test"
    test_uri: str = ""
    caption: str = "clean"
    test_caption: str = ""
    filters: tuple[Filter, ...] = ()
    fraction: float = 1.0
    uids: str = ""
    take: int = 0
    window_shards: int = 4
    max_bad_fraction: float = 0.01

    def __post_init__(self) -> None:
        # One folder is one corpus, from whatever directory it is named.
        object.__setattr__(self, "uri", _canonical(self.uri))
        if self.test_uri:
            object.__setattr__(self, "test_uri", _canonical(self.test_uri))
        if self.window_shards < 1:
            raise DataError(
                f"Corpus.window_shards is {self.window_shards}",
                why="shards are shuffled in windows of one or more",
                mend="give 1 or more",
            )
        if not 0 <= self.max_bad_fraction <= 1:
            raise DataError(
                f"Corpus.max_bad_fraction is {self.max_bad_fraction}",
                why="it is a fraction of the samples read",
                mend="give a number from 0 to 1",
            )
        # 0 and 0.0 are one corpus, with one key.
        object.__setattr__(self, "max_bad_fraction", float(self.max_bad_fraction))
        chosen = self.selection  # checked here, before anything starts
        object.__setattr__(self, "filters", chosen.filters)
        object.__setattr__(self, "fraction", chosen.fraction)

    @property
    def selection(self) -> Selection:
        """What chooses the training pairs."""
        return Selection(self.filters, self.fraction, self.uids, self.take)

    @property
    def held_out_caption(self) -> str:
        """The field that held-out captions are read from."""
        return self.test_caption or self.caption


@dataclass(frozen=True)
class OpenCorpus:
    """A corpus whose shards have been found and counted.

    `steps` are what the selection removed, and `sources` where the pairs came from, where known.
    """

    corpus: Corpus
    train: Rows
    test: Rows
    fingerprint: str
    sources: tuple[Source, ...]
    steps: tuple[Step, ...] = ()


def open_corpus(corpus: Corpus, home: Path) -> OpenCorpus:
    """Find and count the shards of `corpus`. Raises DataError when they are not as stated."""
    return open_corpora([corpus], home)[corpus]


def open_corpora(corpora: Iterable[Corpus], home: Path) -> dict[Corpus, OpenCorpus]:
    """Each distinct corpus, opened; a source that several name is looked at once."""
    sources: dict[str, OpenSource] = {}

    def at(uri: str) -> OpenSource:
        if uri not in sources:
            sources[uri] = open_source(uri, home)
        return sources[uri]

    found: dict[Corpus, OpenCorpus] = {}
    for corpus in corpora:
        if corpus not in found:
            parts = [(at(s.uri), s.weight) for s in parse_sources(corpus.uri)]
            tests = [at(s.uri) for s in parse_sources(corpus.test_uri)] if corpus.test_uri else []
            found[corpus] = _Opening(corpus, parts, tests, home).opened()
    return found


class _Opening:
    """The sources of one corpus, on their way to rows."""

    def __init__(
        self,
        corpus: Corpus,
        parts: list[tuple[OpenSource, float]],
        tests: list[OpenSource],
        home: Path,
    ) -> None:
        self.corpus, self.home = corpus, home
        self.parts, self.tests = [source for source, _ in parts], tests
        self.weights = [weight for _, weight in parts]
        self.shards = _shards(self.parts, corpus.split, corpus)
        for source in self.parts:
            _check_caption(source, corpus.caption, "caption")
        for source in self.tests or self.parts:
            _check_caption(source, corpus.held_out_caption, "test_caption")

    def opened(self) -> OpenCorpus:
        corpus, selection = self.corpus, self.corpus.selection
        fingerprint = self._fingerprint()
        tested = self.tests or self.parts
        splits = [_brings(source, corpus.test_split) for source in tested]
        if self.tests or all(splits):
            train = _rows(self.parts, self.shards, fingerprint, corpus.split)
            # What another corpus brings is for testing as a whole, where it names no split.
            own_split = corpus.test_split if all(splits) else ""
            held = _shards(tested, own_split, corpus)
            if self.tests:
                others = _digest(*(source.manifest.fingerprint for source in self.tests))
                test = _rows(tested, held, others, corpus.test_split)
                fingerprint = _digest(fingerprint, others)
            else:
                test = _rows(tested, held, fingerprint, corpus.test_split)
        else:
            every = one_in(_rows(self.parts, self.shards, fingerprint, "").num_samples)
            train, test = (
                _rows(self.parts, self.shards, fingerprint, corpus.split, held_out, every)
                for held_out in (False, True)
            )
        steps: tuple[Step, ...] = ()
        if not selection.is_all or any(weight != 1 for weight in self.weights):
            chosen, steps = self._chosen(train)
            train = replace(train, chosen=chosen)
        if mark := selection.fingerprint:
            # Another selection is another order of its own, and other data.
            train = replace(train, fingerprint=_digest(train.fingerprint, mark))
            fingerprint = _digest(fingerprint, mark)
        _check_both(corpus, train, test)
        sources = tuple(source for part in self.parts for source in part.manifest.sources)
        return OpenCorpus(corpus, train, test, fingerprint, sources, steps)

    def _fingerprint(self) -> str:
        if len(self.parts) == 1 and self.weights == [1.0]:
            return self.parts[0].manifest.fingerprint
        return _digest(
            *(
                f"{part.manifest.fingerprint}@{weight:g}"
                for part, weight in zip(self.parts, self.weights, strict=True)
            )
        )

    def _chosen(self, train: Rows) -> tuple[Chosen, tuple[Step, ...]]:
        """Which rows the selection leaves, and how often each comes."""
        table = self._table(train)
        selected = self.corpus.selection.apply(table)
        if not len(selected.shards):
            removed = "; ".join(f"{s.name} removed {s.num_removed:,}" for s in selected.steps)
            raise DataError(
                f"no pair of '{self.corpus.uri}' is left to train on",
                why=removed,
                mend="loosen a filter",
            )
        shards, rows = self._copied(table, selected)
        return Chosen.of(shards, rows, len(self.shards)), selected.steps

    def _table(self, train: Rows) -> Table:
        names = self.corpus.selection.columns | {"key", "uid"}
        columns: list[dict[str, NDArray[Any]]] = []
        for number, source in enumerate(self.parts):
            mine = [name for part, name in self.shards if part == number]
            columns += read_columns(source, mine, names, self.corpus.caption, self.home)
        rows = [train.of_shard(shard) for shard in range(len(self.shards))]
        kept = [
            {n: c[own] for n, c in cols.items()} for cols, own in zip(columns, rows, strict=True)
        ]
        shared = set.intersection(*(set(part) for part in kept))
        return Table(
            np.repeat(np.arange(len(rows)), [len(own) for own in rows]),
            np.concatenate(rows),
            {name: np.concatenate([part[name] for part in kept]) for name in shared},
        )

    def _copied(
        self, table: Table, selected: Selected
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Shard and row numbers of an epoch, each row as often as its source's weight says."""
        if all(weight == 1 for weight in self.weights):
            return selected.shards, selected.rows
        kept = table.where(_found(table, selected))
        source_of = np.array([number for number, _ in self.shards])[kept.shards]
        times = np.zeros(len(kept), np.int64)
        for number, weight in enumerate(self.weights):
            own = source_of == number
            times[own] = copies(kept.identities[own], weight)
        return np.repeat(kept.shards, times), np.repeat(kept.rows, times)


def _found(table: Table, selected: Selected) -> NDArray[np.bool_]:
    """Which rows of `table` are selected."""
    ours = (table.shards << 32) | table.rows
    theirs = (selected.shards << 32) | selected.rows
    return np.isin(ours, theirs)


def _canonical(uri: str) -> str:
    """Sources with absolute places; a weight of 1 is not written."""
    sources = parse_sources(uri)
    for source in sources:
        if source.weight > MAX_WEIGHT:
            raise DataError(
                f"source '{source.uri}' has the weight {source.weight:g}",
                why="each of its pairs would come so often in an epoch",
                mend=f"give at most {MAX_WEIGHT:g}",
            )
    plain = len(sources) == 1 and sources[0].weight == 1
    if plain and uri.startswith("demo:"):
        return uri
    return "::".join(s.uri if s.weight == 1 else f"{s.uri}@{s.weight:g}" for s in sources)


Shards = list[tuple[int, str]]  # number of the source, name of the shard


def _shards(sources: list[OpenSource], split: str, corpus: Corpus) -> Shards:
    """The shards of `split`, of all sources end to end.

    All of a source's where nobody described them, or for "".
    """
    found: Shards = []
    for number, source in enumerate(sources):
        splits = {shard.split for shard in source.manifest.shards}
        if split and not source.own and split not in splits:
            raise DataError(
                f"corpus '{corpus.uri}' has no split '{split}'",
                why=f"{MANIFEST_NAME} in {source.uri} lists none of that name",
                mend=nearest(split, splits),
            )
        everyone = source.own or not split
        names = sorted(s.name for s in source.manifest.shards if everyone or s.split == split)
        found += [(number, name) for name in names]
    return found


def _rows(
    sources: list[OpenSource],
    shards: Shards,
    fingerprint: str,
    split: str,
    holdout: bool | None = None,
    every: int = 1,
) -> Rows:
    counts = [{s.name: s.num_samples for s in source.manifest.shards} for source in sources]
    own = len(sources) == 1 and sources[0].own
    named = SPLIT if own else split  # nobody named the split of such a source
    return Rows(
        paths=tuple(sources[number].places[name] for number, name in shards),
        num_rows=tuple(counts[number][name] for number, name in shards),
        fingerprint=hashlib.sha256(f"{fingerprint}/{named}/{holdout}".encode()).hexdigest(),
        holdout=holdout,
        holdout_one_in=every,
        etags=tuple(sources[number].etags[name] for number, name in shards),
    )


def _brings(source: OpenSource, split: str) -> bool:
    return not source.own and any(shard.split == split for shard in source.manifest.shards)


def _check_caption(source: OpenSource, caption: str, field: str) -> None:
    """A caption field that no shard has would make every sample a bad one."""
    known = source.manifest.captions
    if known and caption not in known and not (caption == "txt" and not source.own):
        raise DataError(
            f"Corpus.{field} is '{caption}', and the pairs of '{source.uri}' have no such field",
            why="a caption is a text field of the json member, or `txt` for the text member",
            mend=f"{nearest(caption, known)} Give one with --set corpus.{field}={known[0]}",
        )


def _check_both(corpus: Corpus, train: Rows, test: Rows) -> None:
    if not train.num_samples or not test.num_samples:
        raise DataError(
            f"corpus '{corpus.uri}' has {train.num_samples} samples to train on and "
            f"{test.num_samples} to evaluate",
            why="a trial needs both",
            mend="give a folder with more samples",
        )


def _digest(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()
