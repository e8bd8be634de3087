"""The choice of rows where they come together: one byte a row, and the hashes that it turns on.

Of the N rows of a corpus are held, for a selection that only filters by rows, N bytes; for one that
compares or draws rows 17 N more while the shards are read and 9 N from then on, 8 N for uids, and
8 N for each comparison. Sorting takes some 30 bytes a row for a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seedbed.data.select.filters.filter import Bits, Deduplication, Filter, Mask, hashes
from seedbed.data.select.judge import NO_UID, Judged, Question, is_by_row
from seedbed.data.select.selection import Removal, read_uids
from seedbed.errors import DataError

# Uids and keys of the rows at some positions: asked for where hashes do not decide.
Texts = Callable[[NDArray[np.int64]], Sequence[tuple[str, str]]]


class Choice:
    """The rows of all shards end to end, `counts` of each, while they are chosen."""

    def __init__(self, asked: Question, counts: Sequence[int]) -> None:
        self.asked, self.stops = asked, np.cumsum(counts, dtype=np.int64)
        size = int(self.stops[-1]) if len(self.stops) else 0
        filters, hashed = asked.selection.filters, size if asked.hashed else 0
        self._refused = np.empty(size, np.uint8)
        self._keys, self._names = np.empty(hashed, np.uint64), np.empty(hashed, np.uint64)
        self._uids: Bits | None = None
        self._listed = np.empty(size if asked.selection.uids else 0, np.uint64)
        self._digests = {
            n: np.empty(size, np.uint64)
            for n, f in enumerate(filters)
            if isinstance(f, Deduplication)
        }
        self._columns: dict[int, list[Mapping[str, pa.Array]]] = {
            n: [] for n, f in enumerate(filters) if n not in self._digests and not is_by_row(f)
        }
        self._own_names: bool | None = None

    def add(self, shard: int, judged: Judged) -> None:
        """Take up what was found of a shard; of all, one after the other."""
        mine = slice(int(self.stops[shard - 1]) if shard else 0, int(self.stops[shard]))
        self._refused[mine] = judged.refused
        if judged.keys is not None and judged.names is not None:
            self._keys[mine], self._names[mine] = judged.keys, judged.names
        if judged.listed is not None:
            self._listed[mine] = judged.listed
        if judged.uids is not None:
            if self._uids is None:
                self._uids = np.full(len(self._refused), NO_UID, np.uint64)
            self._uids[mine] = judged.uids
        for number, digests in judged.digests.items():
            self._digests[number][mine] = digests
        for number, columns in judged.columns.items():
            self._columns[number].append(columns)

    @property
    def ranks(self) -> Bits:
        """A hash for each row of a name that no other row has [N]."""
        if self._own_names is None:
            ordered = np.sort(self._keys)
            self._own_names = not (ordered[1:] == ordered[:-1]).any()
            if self._own_names:
                self._names = self._keys
            self._keys = self._names[:0]
        return self._names

    @property
    def identities(self) -> Bits:
        """The hash of what each row is chosen by [N]: its uid, or its name where it has none."""
        if self._uids is None:
            return self.ranks
        return np.where(self._uids == NO_UID, self.ranks, self._uids)

    def chosen(self, texts: Texts) -> tuple[Mask, tuple[Removal, ...]]:
        """Which rows stay [N], and what each step removed of what the last one left.

        Raises DataError for a column that is missing, a list of uids that cannot be read, and
        where fewer rows are left than `take` says.
        """
        selection, steps = self.asked.selection, list[Removal]()
        names = iter(selection.step_names)
        left = np.ones(len(self._refused), np.bool_)
        num_left = len(left)

        def step(stays: Mask) -> None:
            nonlocal num_left
            np.logical_and(left, stays, out=left)
            now = int(np.count_nonzero(left))
            steps.append(Removal(next(names), num_left, num_left - now))
            num_left = now

        if selection.uids:
            step(_among(self._listed, hashes([u.decode() for u in read_uids(selection.uids)])))
        for number, rule in enumerate(selection.filters):
            step(self._stays(number, rule, left))
        if selection.fraction < 1:
            step(within(self.identities, selection.fraction))
        if selection.take:
            step(self._first(left, steps, texts))
        return left, tuple(steps)

    def _stays(self, number: int, rule: Filter, left: Mask) -> Mask:
        """Which of the rows that are left stay by a filter."""
        if is_by_row(rule):
            return self._refused != number
        rows = np.flatnonzero(left)
        if isinstance(rule, Deduplication):
            kept = rule.choose(self._digests.pop(number)[rows], self.ranks[rows])
        else:
            kept = rule.keep(self._whole(self._columns.pop(number), rows))
        stays = np.zeros(len(left), np.bool_)
        stays[rows[kept]] = True
        return stays

    def _whole(
        self, parts: Sequence[Mapping[str, pa.Array]], rows: NDArray[np.int64]
    ) -> dict[str, NDArray[Any]]:
        """The columns of `rows` of all shards that every shard has."""
        shared = set.intersection(*(set(part) for part in parts)) if parts else set[str]()
        columns = {name: _joined([part[name] for part in parts])[rows] for name in shared}
        if "key" in columns:
            _ = self.ranks
            if not self._own_names:
                shards = np.searchsorted(self.stops, rows, side="right").tolist()
                pairs = zip(shards, columns["key"].tolist(), strict=True)
                columns["key"] = _text([f"{shard}/{key}" for shard, key in pairs])
        return columns

    def _first(self, left: Mask, steps: Sequence[Removal], texts: Texts) -> Mask:
        rows, take = np.flatnonzero(left), self.asked.selection.take
        if take > len(rows):
            removed = "; ".join(f"{step.name} removed {step.num_removed:,}" for step in steps)
            raise DataError(
                f"Selection.take is {take:,}, and {len(rows):,} rows are left",
                why=f"it holds the count equal between levels ({removed or 'nothing was removed'})",
                mend=f"take at most {len(rows):,}, or loosen a filter",
            )
        drawn = self.identities[rows]
        most = np.partition(drawn, take - 1)[take - 1]
        stays = np.zeros(len(left), np.bool_)
        stays[rows[drawn < most]] = True
        tied = rows[drawn == most]
        wanted = take - int(np.count_nonzero(drawn < most))
        if wanted < len(tied):  # rows of one uid are told apart by their keys
            tied = tied[np.argsort(_places(self._words(tied, texts)))]
        stays[tied[:wanted]] = True
        return stays

    def _words(self, rows: NDArray[np.int64], texts: Texts) -> list[tuple[str, str]]:
        """What `rows` are chosen by, and their names."""
        shards = np.searchsorted(self.stops, rows, side="right").tolist()
        _ = self.ranks
        pairs = zip(shards, texts(rows), strict=True)
        named = [(u, k if self._own_names else f"{shard}/{k}") for shard, (u, k) in pairs]
        return [(uid or name, name) for uid, name in named]


def within(identities: Bits, fraction: float) -> Mask:
    """Which hashes lie in the first `fraction` of all: bool [n]."""
    if fraction >= 1:
        return np.ones(len(identities), np.bool_)
    return np.asarray(identities < np.uint64(int(fraction * 2**64)))


def _among(values: Bits, listed: Bits) -> Mask:
    """Which of `values` are listed."""
    listed = np.sort(listed)
    if not len(listed):
        return np.zeros(len(values), np.bool_)
    place = np.searchsorted(listed, values)
    place[place == len(listed)] = 0
    return np.asarray(listed[place] == values)


def _places(words: Sequence[tuple[str, str]]) -> list[int]:
    """The place of each when all are in order."""
    places = [0] * len(words)
    for place, number in enumerate(sorted(range(len(words)), key=words.__getitem__)):
        places[number] = place
    return places


def _joined(parts: Sequence[pa.Array]) -> NDArray[Any]:
    """The values of all parts: texts where some part has texts."""
    if any(pa.types.is_large_string(part.type) for part in parts):
        return _text([str(value) for part in parts for value in part.to_pylist()])
    return np.concatenate([part.to_numpy(zero_copy_only=False) for part in parts])


def _text(values: list[str]) -> NDArray[Any]:
    return np.array(values, dtype=np.dtypes.StringDType())
