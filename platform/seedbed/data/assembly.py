"""From the sources of one corpus to the rows that are trained on and tested on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seedbed.data.choosing import choose
from seedbed.data.corpus import Corpus
from seedbed.data.holdout import HeldOut, brings
from seedbed.data.overlap import HeldOutPictures, RowIndexes, Seen, TestPictures, refusal
from seedbed.data.rows import EVERY, NONE, Chosen, Rows, held_out
from seedbed.data.select.choice import Choice
from seedbed.data.select.columns import ShardColumns, shard_columns, tables_beside
from seedbed.data.select.filters.filter import Mask
from seedbed.data.select.judge import Question
from seedbed.data.select.removed import COPIES_STEP
from seedbed.data.select.selection import Removal, copies
from seedbed.data.shards.row_index import Digests
from seedbed.data.shards.source import SPLIT
from seedbed.data.shards.spread import Spread
from seedbed.data.shards.starts import Starts
from seedbed.data.shards.usable import check_caption, check_usable
from seedbed.data.weighted_source import Shards, WeightedSource
from seedbed.errors import DataError


class Assembly:
    """One corpus of a study: `limits` say what of each place anybody is tested on."""

    def __init__(
        self,
        corpus: Corpus,
        weighted: Sequence[WeightedSource],
        shards: Shards,
        tests: Sequence[HeldOut],
        limits: Mapping[str, int],
        home: Path,
    ) -> None:
        self.corpus, self.weighted, self.shards, self.home = corpus, weighted, shards, home
        self.tests = tests
        self._marks: tuple[str, ...] = ()  # of what was chosen, once it is known
        self.limits = tuple(limits.get(self._place(shard), NONE) for shard in shards)
        for one in weighted:
            check_usable(one.source)
            check_caption(one.source, corpus.caption, "caption")
        for test in tests:
            check_caption(test.source, corpus.held_out_caption, "test_caption")

    def rows(self, indexes: RowIndexes) -> tuple[Rows, Rows, tuple[Removal, ...]]:
        """What is trained on and what is tested on, and the steps of the choice."""
        corpus, selection = self.corpus, self.corpus.selection
        test = self._test(indexes)
        held = HeldOutPictures.of(self.tests, indexes)
        seen = self._seen(held, indexes)
        train, steps = self._train(seen, indexes)
        beside: dict[str, str] = {}
        if not selection.is_all or any(one.weight != int(one.weight) for one in self.weighted):
            beside = tables_beside(train.paths)
            chosen, more = self._chosen(train, beside, indexes.spread)
            train, steps = replace(train, chosen=chosen), (*steps, *more)
        elif any(one.weight != 1 for one in self.weighted):  # for which nothing need be read
            train = replace(train, chosen=self._repeated(train))
        # What stands in tables beside the shards is in no digest of these.
        told = train.chosen.digest if beside and train.chosen is not None else ""
        self._marks = tuple(filter(None, (selection.fingerprint, told)))
        if self._marks:
            # Another selection is another order of its own, and other data.
            train = replace(train, fingerprint=_digest(train.fingerprint, *self._marks))
        _check_both(corpus, train, test)
        left = [
            replace(found, rows=rows)
            for shard, found in seen.items()
            if len(rows := np.intersect1d(train.of_shard(shard), found.rows))
        ]
        if left:
            raise refusal(corpus.uri, left, held, test.num_samples, indexes)
        return train, test, steps

    def check_apart(self, train: Rows, test: TestPictures, indexes: RowIndexes) -> None:
        """Raise DataError where `train` has pictures of `test`."""
        seen: dict[int, Seen] = {}
        for shard, digests in self._digests(indexes):
            rows = test.among(digests)
            if len(rows) and len(rows := np.intersect1d(train.of_shard(shard), rows)):
                number, name = self.shards[shard]
                seen[shard] = Seen(self.weighted[number].source, name, rows)
        if seen:
            found = [seen[shard] for shard in sorted(seen)]
            raise refusal(self.corpus.uri, found, test, len(test.digests), indexes)

    def fingerprint(self, train: Rows, test: Rows) -> str:
        """Of the content that is trained on, and of what is tested where another corpus is.

        Of what `rows` has found.
        """
        digest = self._content()
        if self.corpus.test_uri:
            digest = _digest(digest, test.fingerprint)
        if train.apart:
            digest = _digest(digest, _mark(train.apart))
        return _digest(digest, *self._marks) if self._marks else digest

    def _place(self, shard: tuple[int, str]) -> str:
        number, name = shard
        return self.weighted[number].source.places[name]

    def _content(self) -> str:
        if len(self.weighted) == 1 and self.weighted[0].weight == 1:
            return self.weighted[0].source.manifest.fingerprint
        return _digest(*(f"{p.source.manifest.fingerprint}@{p.weight:g}" for p in self.weighted))

    def _train(
        self, seen: Mapping[int, Seen], indexes: RowIndexes
    ) -> tuple[Rows, tuple[Removal, ...]]:
        """All rows but those that are held out, and the copies of those in the same source."""
        sources = [one.source for one in self.weighted]
        split = SPLIT if len(sources) == 1 and sources[0].own else self.corpus.split
        entries = [{s.name: s for s in source.manifest.shards} for source in sources]
        shards = [entries[number][name] for number, name in self.shards]
        in_part = {h.source.uri for h in self.tests if h.in_part}
        apart = {
            shard: tuple(found.rows.tolist())
            for shard, found in seen.items()
            if found.source.uri in in_part
        }
        some = any(limit != NONE for limit in self.limits)
        held = _mark((self.limits, apart)) if some or apart else None
        words = f"{self._content()}/{split}/{held}"
        train = Rows(
            paths=tuple(self._place(shard) for shard in self.shards),
            num_rows=tuple(shard.num_samples for shard in shards),
            fingerprint=hashlib.sha256(words.encode()).hexdigest(),
            starts=Starts.of([(indexes.starts(sources[n]), name) for n, name in self.shards]),
            holdout=False if some else None,
            limits=self.limits if some else (),
            etags=tuple(sources[number].etags[name] for number, name in self.shards),
            num_bytes=tuple(shard.num_bytes for shard in shards),
        )
        if not apart:
            return train, ()
        num_removed = sum(map(len, apart.values()))
        return replace(train, apart=apart), (Removal(COPIES_STEP, train.num_samples, num_removed),)

    def _test(self, indexes: RowIndexes) -> Rows:
        shards = [(test, name) for test in self.tests for name in sorted(test.limits)]
        limits = tuple(test.limits[name] for test, name in shards)
        entries = {t.source.uri: {s.name: s for s in t.source.manifest.shards} for t in self.tests}
        found = [entries[test.source.uri][name] for test, name in shards]
        contents = "/".join(test.source.manifest.fingerprint for test in self.tests)
        split = self.corpus.test_split
        splits = [split if brings(test.source, split) else "" for test in self.tests]
        some = any(limit != EVERY for limit in limits)
        return Rows(
            paths=tuple(test.source.places[name] for test, name in shards),
            num_rows=tuple(shard.num_samples for shard in found),
            fingerprint=_digest("test", contents, *splits, _mark(limits)),
            starts=Starts.of([(indexes.starts(test.source), name) for test, name in shards]),
            holdout=True if some else None,
            limits=limits if some else (),
            etags=tuple(test.source.etags[name] for test, name in shards),
            num_bytes=tuple(shard.num_bytes for shard in found),
        )

    def _seen(self, held: HeldOutPictures, indexes: RowIndexes) -> dict[int, Seen]:
        """By the shard's number, rows that are not held out, of pictures that are."""
        seen: dict[int, Seen] = {}
        for shard, digests in self._digests(indexes):
            number, name = self.shards[shard]
            rows = held.among(digests)
            rows = rows[~held_out(name, rows, self.limits[shard])]
            if len(rows):
                seen[shard] = Seen(self.weighted[number].source, name, rows)
        return dict(sorted(seen.items()))

    def _digests(self, indexes: RowIndexes) -> Iterator[tuple[int, Digests]]:
        """Each shard's number and the digests of its pictures, in the order of the index."""
        for number, one in enumerate(self.weighted):
            mine = {name: n for n, (own, name) in enumerate(self.shards) if own == number}
            for name, digests in indexes.of(one.source).all_digests(mine):
                yield mine[name], digests

    def _repeated(self, train: Rows) -> Chosen:
        """All rows, each as often as its source's weight says, which is a whole number."""
        times = [int(self.weighted[number].weight) for number, _ in self.shards]
        return Chosen.of(np.repeat(train.of_shard(n), many) for n, many in enumerate(times))

    def _chosen(
        self, train: Rows, beside: Mapping[str, str], spread: Spread
    ) -> tuple[Chosen, tuple[Removal, ...]]:
        """Which rows the selection leaves, and how often each comes."""
        corpus = self.corpus
        is_weighted = any(one.weight != 1 for one in self.weighted)
        asked = Question(corpus.selection, is_weighted)
        columns: list[ShardColumns] = []
        for number, one in enumerate(self.weighted):
            mine = [name for own, name in self.shards if own == number]
            hashed = "phash" in asked.columns
            columns += shard_columns(one.source, mine, self.home, hashed=hashed, beside=beside)
        choice, stays, steps = choose(asked, train, columns, corpus.caption, spread)
        if not stays.any():
            removed = "; ".join(f"{s.name} removed {s.num_removed:,}" for s in steps)
            raise DataError(
                f"no pair of '{corpus.uri}' is left to train on",
                why=removed,
                mend="loosen a filter",
            )
        times = self._times(choice, stays) if is_weighted else None
        return Chosen.of(_kept(train, choice.stops, stays, times)), steps

    def _times(self, choice: Choice, stays: Mask) -> NDArray[np.uint8]:
        """How often each row comes in an epoch, as its source's weight says; 0 where it goes."""
        times = np.zeros(len(stays), np.uint8)
        identities = choice.identities
        numbers = np.array([number for number, _ in self.shards])
        for number, one in enumerate(self.weighted):
            mine = np.flatnonzero(numbers == number)
            first = int(choice.stops[mine[0] - 1]) if mine[0] else 0
            rows = first + np.flatnonzero(stays[first : int(choice.stops[mine[-1]])])
            times[rows] = copies(identities[rows], one.weight)
        return times


def _kept(
    train: Rows, stops: NDArray[np.int64], stays: Mask, times: NDArray[np.uint8] | None
) -> Iterator[NDArray[np.int64]]:
    """Of each shard the rows that stay, each as often as it comes."""
    first = 0
    for shard, stop in enumerate(stops.tolist()):
        rows = train.of_shard(shard)
        mine = slice(first, stop)
        yield rows[stays[mine]] if times is None else np.repeat(rows, times[mine])
        first = stop


def _check_both(corpus: Corpus, train: Rows, test: Rows) -> None:
    if not train.num_samples or not test.num_samples:
        raise DataError(
            f"corpus '{corpus.uri}' has {train.num_samples} samples to train on and "
            f"{test.num_samples} to evaluate",
            why="a trial needs both, and what is tested on is never trained on",
            mend="give a folder with more samples, or test on another split or corpus",
        )


def _mark(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()


def _digest(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()
