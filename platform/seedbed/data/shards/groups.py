"""How many rows are read at the least where no less than a group of rows can be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seedbed.data.shards.formats import format_of
from seedbed.data.shards.kept.table import RowTable


class Listed(Protocol):
    """A shard in a manifest or an index."""

    @property
    def name(self) -> str: ...

    @property
    def num_samples(self) -> int: ...


def mean_group(starts: Iterable[NDArray[Any]], num_rows: int) -> float:
    """Rows of the group that a row is in, on average of `num_rows` rows: `starts` are those of
    shards with groups, as `RowIndex` has them, and all other rows are in none."""
    squares = (int(np.square(np.diff(each.astype(np.int64))).sum()) for each in starts)
    return sum(squares) / max(1, num_rows)


def mean_group_of(shards: Sequence[Listed], places: Sequence[str]) -> float:
    """The same of `shards`, as far as the indexes in `places` know them: which only those of
    formats with groups are looked for."""
    grouped = {shard.name for shard in shards if format_of(shard.name).grouped}
    known = RowTable.in_places(places if grouped else ())
    starts = (known.starts(name) for name in known.number if name in grouped)
    return mean_group(starts, sum(shard.num_samples for shard in shards))
