"""Which columns of a trials table are further factors, when an analysis names only two of them.

A factor left out of the model would put its effects into the error: intervals too wide, and p
values of nothing. So columns that were varied across the named factors are found and adjusted for.
"""

from __future__ import annotations

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from seedbed.analyze.trials.observations import OUTCOME_COLUMNS

# Columns that number repetitions: what varies between them is the error itself.
_REPETITIONS = ("seed", "rep", "replicate", "replication", "repeat", "repetition", "fold", "run")
_FEWEST_FILLED = 0.5  # of the grid with the named factors; a half fraction still counts as crossed


def other_factors(
    trials: pd.DataFrame, response: str, named: tuple[str, ...], block: str | None
) -> tuple[str, ...]:
    """Columns beside `named` that hold labels and form at least half a full grid with them.

    Left out are the response, the block and what follows from it, seeds and other repetitions,
    outcomes (status, cost, metrics: names with "/"), columns with gaps, and numbers that hardly
    repeat, which are measurements.
    """
    taken = {response, block, *named, *OUTCOME_COLUMNS, "data_fingerprint"}
    found = []
    for column in trials.columns:
        name = str(column)
        if column in taken or "/" in name or name.lower() in _REPETITIONS:
            continue
        if _is_crossed(trials, column, named) and not _follows_from(trials, column, block):
            found.append(name)
    return tuple(found)


def _is_crossed(trials: pd.DataFrame, column: str, named: tuple[str, ...]) -> bool:
    values = trials[column]
    if values.isna().any():
        return False
    if not is_numeric_dtype(values) or is_bool_dtype(values):
        try:
            num_levels = int(values.astype(str).nunique())
        except (TypeError, ValueError):
            return False
    else:
        num_levels = int(values.nunique())
    num_cells = len(trials[list(named)].astype(str).drop_duplicates())
    if num_levels < 2 or num_levels * num_cells > len(trials) / _FEWEST_FILLED:
        return False
    filled = trials[[*named, column]].astype(str).drop_duplicates()
    return len(filled) >= _FEWEST_FILLED * num_levels * num_cells and len(filled) > num_cells


def _follows_from(trials: pd.DataFrame, column: str, block: str | None) -> bool:
    """Whether the column has one value in each block, or in each seed."""
    groups = [name for name in (block, "seed") if name is not None and name in trials.columns]
    return any(
        bool((trials.groupby(name, observed=True)[column].nunique() == 1).all()) for name in groups
    )
