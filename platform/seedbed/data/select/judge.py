"""What a selection needs to know of a row, found where the row's shard is read.

Captions and columns stay there: of a row come back the first filter that refuses it and, where
rows are compared or drawn, some hashes of 64 bits. Two texts of 15 million have the same one with
a chance of 1 in 150,000.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seedbed.data.select.filters.filter import Bits, Deduplication, Filter, Rows, column, hashes
from seedbed.data.select.selection import Selection

KEPT = 255  # refused by no filter
NO_UID = 0


@dataclass(frozen=True)
class Question:
    """What is asked of every row.

    `hashed` says whether rows are drawn or compared, and `weighted` whether some come more often.
    """

    selection: Selection
    weighted: bool = False

    @property
    def hashed(self) -> bool:
        chosen = self.selection
        whole = any(not is_by_row(rule) for rule in chosen.filters)
        return self.weighted or whole or chosen.fraction < 1 or chosen.take > 0

    @property
    def columns(self) -> frozenset[str]:
        return self.selection.columns


@dataclass(frozen=True)
class Judged:
    """Of the n rows of a shard: the number of the first filter by rows that refuses each.

    Hashes are of the rows' keys, of `SHARD/KEY` (`names`), of uids (NO_UID where there is none,
    None where no row has one), and of uids as a list has them (`listed`). By the filter's number:
    what a comparison compares, and the columns that any other filter reads.
    """

    refused: NDArray[np.uint8]
    keys: Bits | None = None
    names: Bits | None = None
    uids: Bits | None = None
    listed: Bits | None = None
    digests: Mapping[int, Bits] = field(default_factory=dict)
    columns: Mapping[int, Mapping[str, pa.Array]] = field(default_factory=dict)


def is_by_row(rule: Filter) -> bool:
    """Whether a filter may be asked for the rows of one shard.

    One that reads keys may not: whether a key comes back in another shard is not known there.
    """
    return rule.by_row and "key" not in rule.columns


def judge(asked: Question, rows: Rows, shard: int) -> Judged:
    """Judge the rows of the corpus's `shard`-th shard, by their columns [n] each.

    Raises DataError for a column that is missing.
    """
    chosen = asked.selection
    keys = column(rows, "key", "Selection")
    refused = np.full(len(keys), KEPT, np.uint8)
    digests: dict[int, Bits] = {}
    columns: dict[int, dict[str, pa.Array]] = {}
    for number, rule in enumerate(chosen.filters):
        if is_by_row(rule):
            left = np.flatnonzero(refused == KEPT)
            kept = rule.keep({name: values[left] for name, values in rows.items()})
            refused[left[~kept]] = number
        elif isinstance(rule, Deduplication):
            digests[number] = rule.digest(rows)
        else:
            read = rule.columns & rows.keys()
            if read < rule.columns:  # it says so now, if it cannot do without
                rule.keep({name: values[:0] for name, values in rows.items()})
            columns[number] = {name: _arrow(rows[name]) for name in read}
    listed = None
    if chosen.uids:
        uids = column(rows, "uid", "Selection.uids")
        listed = hashes([str(uid).lower() for uid in uids])
    if not asked.hashed:
        return Judged(refused, listed=listed)
    return Judged(
        refused,
        hashes(keys),
        hashes([f"{shard}/{key}" for key in keys]),
        _uids(rows.get("uid")),
        listed,
        digests,
        columns,
    )


def _arrow(values: NDArray[Any]) -> pa.Array:
    if values.dtype.kind in "OTU":
        return pa.array(values.tolist(), pa.large_string())
    return pa.array(values)


def _uids(uids: NDArray[Any] | None) -> Bits | None:
    if uids is None or not any(uids):
        return None
    return np.where(uids == "", np.uint64(NO_UID), hashes(uids))
