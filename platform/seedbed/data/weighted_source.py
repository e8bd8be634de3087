"""The sources of a corpus, each with a weight, and the shards to train on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from seedbed.data.corpus import Corpus
from seedbed.data.shards.manifest import MANIFEST_NAME
from seedbed.data.shards.source import OpenSource
from seedbed.errors import DataError, nearest


@dataclass(frozen=True)
class WeightedSource:
    """One source of a corpus, and how often its pairs come."""

    source: OpenSource
    weight: float


Shards = list[tuple[int, str]]  # number of the source, name of the shard


def no_split(corpus: Corpus, uri: str, splits: Iterable[str]) -> DataError:
    """Where the source at `uri` of `corpus` has `splits`, and not the one to train on."""
    return DataError(
        f"corpus '{corpus.uri}' has no split '{corpus.split}'",
        why=f"{MANIFEST_NAME} in {uri} lists none of that name",
        mend=nearest(corpus.split, splits),
    )


def shards_of_split(corpus: Corpus, weighted: Sequence[WeightedSource]) -> Shards:
    """The shards to train on, source after source; one without a manifest gives all its shards."""
    of_split: Shards = []
    for number, one in enumerate(weighted):
        source, split = one.source, corpus.split
        splits = {shard.split for shard in source.manifest.shards}
        if not source.own and split not in splits:
            raise no_split(corpus, source.uri, splits)
        shards = source.manifest.shards
        names = sorted(s.name for s in shards if source.own or s.split == split)
        of_split += [(number, name) for name in names]
    return of_split
