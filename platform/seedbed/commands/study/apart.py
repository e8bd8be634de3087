"""Whether finished models were trained on pictures of a test set that they are scored on now."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from seedbed.errors import DataError, SeedbedError
from seedbed.home import home

if TYPE_CHECKING:
    from seedbed.data.overlap import TestPictures
    from seedbed.data.shards.spread import ShardJob
    from seedbed.evaluate.test_set import TestSet
    from seedbed.study.record import TrialRecord

NONE, UNCHECKED = "none", "not checked: "
UNKNOWN = f"{UNCHECKED}what it was trained on is not known here"


class Apart:
    """The pictures of `tests`, told from those that models were trained on; each corpus is opened
    once."""

    def __init__(self, tests: Sequence[TestSet]) -> None:
        self.tests = tests
        self._known: dict[tuple[object, ...], str] = {}

    @functools.cached_property
    def _pictures(self) -> list[TestPictures]:
        from seedbed.commands.study.tests import pictures_of
        from seedbed.data.shards.spread import in_threads

        return [pictures_of(one, in_threads) for one in self.tests]

    def of_record(self, record: TrialRecord) -> str:
        return self.of(record.recipe, record.data_fingerprint)

    def of(self, recipe: Mapping[str, Any], fingerprint: str) -> str:
        """NONE, or why nobody can say: in words, for a result's protocol.

        `recipe` as a record has it, and the `fingerprint` of the data that it met. Raises
        SharedError, which counts and names the pictures that the model was trained on.
        """
        if not recipe:
            return UNKNOWN
        corpus = tuple(sorted(one for one in recipe.items() if one[0].startswith("corpus.")))
        key = (*corpus, fingerprint)
        if key not in self._known:
            self._known[key] = _overlap(dict(corpus), fingerprint, self._pictures)
        said, begun = self._known[key], recipe.get("init_from")
        if said == NONE and begun:
            return f"none in its own data; what '{begun}' was trained on is not known here"
        return said


def _overlap(flat: Mapping[str, Any], fingerprint: str, tests: Sequence[TestPictures]) -> str:
    from seedbed.data.opening import open_corpora
    from seedbed.data.overlap import SharedError
    from seedbed.interchange.described import corpus_of

    shared: SharedError | None = None
    try:
        corpus = corpus_of(flat)
        try:
            found = open_corpora([corpus], home(), spread=_at_hand, others=tests)[corpus]
        except SharedError as error:
            shared, found = error, open_corpora([corpus], home(), spread=_at_hand)[corpus]
    except SeedbedError as error:
        return f"{UNCHECKED}{error.what}"
    if not fingerprint:
        return f"{UNCHECKED}which data it was trained on is not written down"
    if found.fingerprint != fingerprint:
        return f"{UNCHECKED}'{corpus.uri}' has changed since it was trained on"
    if shared is not None:
        raise shared
    return NONE


def _at_hand(work: Callable[[Any], Any], jobs: Sequence[ShardJob]) -> Iterable[Any]:
    """Few shards are read here. Raises DataError for so many that they take long."""
    from seedbed.commands.study.corpora import READ_HERE_BYTES
    from seedbed.data.shards.spread import in_threads

    num_bytes = sum(job.num_bytes for job in jobs)
    if num_bytes > READ_HERE_BYTES:
        raise DataError(
            f"{len(jobs):,} shards of its corpus, {num_bytes / 1e9:,.1f} GB, are not indexed here",
            why="which pictures they have is known after they have been read",
            mend="seedbed index URI",
        )
    return in_threads(work, jobs)
