"""Where the rows of shards begin, for whoever reads rows: numbers in memory or in an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedbed.data.shards.kept.column import Column, Held
from seedbed.data.shards.kept.table import RowTable

THREADS = 32  # shards that are asked for at a time: a bucket answers several in the time of one


@dataclass(frozen=True, eq=False)
class SourceStarts:
    """Where the rows of all shards of a source begin, as `RowIndex` has it.

    Those of shard n are the values start[n] to stop[n] - 1 of `columns[column[n]]`; `number` says
    which shard has a name.
    """

    columns: tuple[Column, ...]
    number: Mapping[str, int]
    column: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]

    @classmethod
    def of(cls, starts: Mapping[str, NDArray[np.uint32]]) -> SourceStarts:
        """Of what is in memory, by the shard's name."""
        stops = np.cumsum([len(part) for part in starts.values()], dtype=np.int64)
        number = {name: n for n, name in enumerate(starts)}
        column = Held(np.concatenate([*starts.values(), np.empty(0, np.uint32)]))
        firsts = np.append(0, stops)[:-1]
        return cls((column,), number, np.zeros(len(number), np.int64), firsts, stops)

    @classmethod
    def of_table(cls, table: RowTable) -> SourceStarts:
        """Of what an index has."""
        return cls(tuple(table.start_columns), table.number, table.part, table.start, table.stop)


@dataclass(frozen=True, eq=False)
class Starts:
    """Where the rows of each shard of a corpus begin.

    Those of shard n are the values first[n] to stop[n] - 1 of `columns[column[n]]`, which all
    corpora on one source have in common: of 400 million rows they are 1.6 GB, and lie in a file.
    """

    columns: tuple[Column, ...]
    column: NDArray[np.int32]
    first: NDArray[np.int64]
    stop: NDArray[np.int64]

    @classmethod
    def of(cls, shards: Sequence[tuple[SourceStarts, str]]) -> Starts:
        """Of shards, each the one of that name in its source."""
        sources = {id(source): source for source, _ in shards}
        offsets: dict[int, int] = {}
        columns: list[Column] = []
        for mark, source in sources.items():
            offsets[mark] = len(columns)
            columns += source.columns
        found = [(source, source.number[name]) for source, name in shards]
        return cls(
            tuple(columns),
            np.array([offsets[id(one)] + one.column[n] for one, n in found], np.int32),
            np.array([one.start[n] for one, n in found], np.int64),
            np.array([one.stop[n] for one, n in found], np.int64),
        )

    def of_shard(self, shard: int) -> NDArray[np.int64]:
        column = self.columns[int(self.column[shard])]
        return column.part(int(self.first[shard]), int(self.stop[shard])).astype(np.int64)

    def of_shards(self, shards: Sequence[int]) -> list[NDArray[np.int64]]:
        """Of several; from a bucket at one time."""
        if not any(self.columns[n].is_away for n in np.unique(self.column[list(shards)]).tolist()):
            return [self.of_shard(shard) for shard in shards]
        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(self.of_shard, shards))
