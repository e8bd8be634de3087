"""Which test pictures each trial named right, from the files that trials leave."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from seedbed.metric import Metric
from seedbed.storage.tables import read_table

MOST_TRIALS = 500  # whose files are read: beyond, seeds are many and the test set is what it is


def correct_by_trial(
    keys: Iterable[str], response: Metric, read: Callable[[str], bytes | None]
) -> dict[str, NDArray[np.bool_]]:
    """By trial key, whether each test picture was right [n]: all of one length and one order.

    `read` gives a trial's `examples.parquet`, or None. Empty where the response is not counted
    per picture, where trials are too many, or where they did not see the same pictures.
    """
    wanted = list(keys)
    if not response.column or len(wanted) > MOST_TRIALS:
        return {}
    found: dict[str, NDArray[np.bool_]] = {}
    first: NDArray[np.int64] | None = None
    for key in wanted:
        content = read(key)
        if content is None:
            continue
        table = read_table(content, ["id", response.column])
        ids = table.column("id").to_numpy()
        if first is None:
            first = ids
        if not np.array_equal(ids, first):
            return {}
        found[key] = np.asarray(
            table.column(response.column).to_numpy() < response.below, dtype=bool
        )
    return found
