"""The rows of shards, as the parts of an index have them: numbers, and none of them an object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from seedbed.data.shards.kept.part import Part
from seedbed.data.shards.kept.stock import lines_in, parts_in
from seedbed.data.shards.row_index import Digests, RowIndex, Starts

# Of numbers of one kind: so many are read from a bucket at once, and kept, and sent along to other
# machines from a disk, which may have no such folder.
HELD_BYTES = 256_000_000


class RowTable:
    """Where the rows of each shard begin and the digests of their pictures, by the shard's name.

    Files on this disk are mapped. Of those in a bucket the numbers of one shard are one small
    request, and all of one kind a request for each part. What lies in the folder `private` is on no
    other machine: its numbers are sent along with what needs them, however many they are.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        etags: Mapping[str, str] | None = None,
        private: str = "",
    ) -> None:
        """Of the shards that have these `etags`, by name; of all, the last of a name, without."""
        self.number: dict[str, int] = {}
        places: list[tuple[int, int, int, int, int]] = []
        known: list[Part] = []
        for part, lines in lines_in(parts):
            row = start = 0
            for shard, num_starts in lines:
                if etags is None or etags.get(shard.name) == shard.etag:
                    self.number[shard.name] = len(places)
                    places.append((len(known), row, shard.num_samples, start, num_starts))
                row, start = row + shard.num_samples, start + num_starts
            known.append(part)
        columns = np.array(places, np.int64).reshape(-1, 5).T
        # Of each shard: its part, its first row there and how many, its first start and how many.
        self.part, self._row, self._rows, self.start, self._starts = columns
        few = 8 * sum(part.num_rows for part in known) <= HELD_BYTES
        self._digest_columns = [part.digests(private=True, kept=few) for part in known]
        few = 4 * sum(part.num_starts for part in known) <= HELD_BYTES
        self.start_columns = [
            part.starts(
                private=few or (bool(private) and part.place.startswith(f"{private}/")), kept=few
            )
            for part in known
        ]

    @classmethod
    def in_places(cls, places: Iterable[str]) -> RowTable:
        """What the indexes in `places` have, folders or prefixes."""
        return cls([part for place in places for part in parts_in(place)])

    def __len__(self) -> int:
        return len(self.number)

    def __contains__(self, name: object) -> bool:
        return name in self.number

    def __getitem__(self, name: str) -> RowIndex:
        return RowIndex(self.digests(name), self.starts(name))

    @property
    def stop(self) -> NDArray[np.int64]:
        """Of each shard by its number: the place past its last start in its part's column."""
        return self.start + self._starts

    def num_rows(self, name: str) -> int:
        return int(self._rows[self.number[name]])

    def starts(self, name: str) -> Starts:
        """As `RowIndex` has them: of one shard alone."""
        n = self.number[name]
        first = int(self.start[n])
        return self.start_columns[int(self.part[n])].part(first, first + int(self._starts[n]))

    def digests(self, name: str) -> Digests:
        """Of one shard alone [its rows]."""
        n = self.number[name]
        first = int(self._row[n])
        return self._digest_columns[int(self.part[n])].part(first, first + int(self._rows[n]))

    def all_digests(self, names: Iterable[str]) -> Iterator[tuple[str, Digests]]:
        """Of many shards, part after part: no more than one part's are held at a time."""
        numbers = sorted((self.number[name], name) for name in names)  # so part after part
        for part, shards in groupby(numbers, key=lambda one: int(self.part[one[0]])):
            digests = self._digest_columns[part].whole()
            for n, name in shards:
                first = int(self._row[n])
                yield name, digests[first : first + int(self._rows[n])]
