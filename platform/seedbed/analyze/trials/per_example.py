"""Which test examples each trial got right, from the files that trials leave for each task."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from seedbed.evaluate.tasks import task_of
from seedbed.metric import Metric
from seedbed.storage.tables import read_table

MOST_TRIALS = 500  # with more, no files are read: reading them would dominate the report


def correct_by_trial(
    keys: Iterable[str], response: Metric, read: Callable[[str, str], bytes | None]
) -> dict[str, NDArray[np.bool_]]:
    """By trial key, whether each test example was right [n]: all of one length and one order.

    The file and its column are those that the response or its task declares. `read` gives a trial's
    file, by the trial's key and the file's name, or None. Empty where no task counts the response
    example by example, where trials are too many, or where they did not see the same examples.
    """
    task = task_of(response.name)
    file = response.file or (task.file if task is not None else "")
    wanted = list(keys)
    if not file or not response.column or len(wanted) > MOST_TRIALS:
        return {}
    correct: dict[str, NDArray[np.bool_]] = {}
    first: NDArray[np.int64] | None = None
    for key in wanted:
        content = read(key, file)
        if content is None:
            continue
        table = read_table(content, ["id", response.column])
        ids = table.column("id").to_numpy()
        if first is None:
            first = ids
        if not np.array_equal(ids, first):
            return {}
        correct[key] = np.asarray(
            table.column(response.column).to_numpy() < response.below, dtype=bool
        )
    return correct
