"""A corpus as a study states it, and the shards behind it once it has been opened."""

from __future__ import annotations

from dataclasses import dataclass

from seedbed.checks import counts, shares
from seedbed.data.select.filters.filter import Filter
from seedbed.data.select.selection import Selection
from seedbed.errors import DataError
from seedbed.storage.address import parse_sources

MAX_WEIGHT = 200.0  # a row's number of copies is part of its id, and has 8 bits there


@dataclass(frozen=True)
class Corpus:
    """Image-text shards, the caption to read from them, and which of their pairs.

    `uri` is a folder of webdataset tars or parquet files, the same in a bucket
    (`s3://bucket/prefix`, a glob, or a brace range like `{00000..01242}.tar`), or the name of a
    demo corpus (`demo:emoji`). `::` joins several; `@2` after a source repeats each of its
    pairs twice an epoch, `@0.5` takes half of them.
    `caption` is a field of the sample's json member, or `txt` for its text member.
    `test_split` names the evaluation split; a folder without one holds out a fixed part
    of its rows.
    `test_uri` evaluates on another corpus, and `test_caption` by another field ("" for the same).
    No trial of a study trains on what any of its trials is tested on.
    `uids`, `filters`, `fraction` and `take` choose training pairs, in this order: see
    `Selection`. What is held out is never filtered.
    An epoch's rows are read in `lanes`, of which each gives an equal part of every batch, and
    shuffled in windows of `window_rows` of a lane: more mixes better and holds more in memory.
    `lanes` divides the batch, and any number of workers that divides it sees the same batches.
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
    lanes: int = 8
    window_rows: int = 1_024
    max_bad_fraction: float = 0.01

    def __post_init__(self) -> None:
        # Absolute: a folder is one corpus, whatever the working directory.
        object.__setattr__(self, "uri", _canonical(self.uri))
        if self.test_uri:
            object.__setattr__(self, "test_uri", _canonical(self.test_uri))
        why = "an epoch is read in one lane or more"
        counts(self, "lanes", why=why, error=DataError)
        why = "rows are shuffled in windows of one or more"
        counts(self, "window_rows", why=why, error=DataError)
        why = "it is a fraction of the samples read"
        shares(self, "max_bad_fraction", why=why, error=DataError)
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

    def times_read(self, group_rows: float) -> float:
        """How often a byte is read in an epoch where `group_rows` at a time are the least: a window
        has two ends, each in the middle of a group, whose rest the next one reads again."""
        return 1 + group_rows / self.window_rows


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
