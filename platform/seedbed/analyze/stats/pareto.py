"""Which trials no other trial beats on everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from seedbed.analyze.trials.observations import AnalysisError, completed, require_column


def pareto(
    trials: pd.DataFrame,
    maximise: str | Sequence[str] = (),
    minimise: str | Sequence[str] = (),
) -> pd.Series[bool]:
    """A mask of the rows on the Pareto front, indexed as `trials`.

    A row is off the front when another is at least as good in every column and better in one;
    equal rows are on it together. Trials that did not complete, or lack a value, are never on it.
    """
    up = [maximise] if isinstance(maximise, str) else list(maximise)
    down = [minimise] if isinstance(minimise, str) else list(minimise)
    if not up and not down:
        raise AnalysisError(
            "Nothing to maximise or minimise was named.", mend="Name at least one column."
        )
    for name in (*up, *down):
        require_column(trials, name)
    values = [[_number(value, name) for value in trials[name]] for name in (*up, *down)]
    signs = np.array([1.0] * len(up) + [-1.0] * len(down))
    points = np.array(values, dtype=float).T * signs
    if np.isinf(points).any():
        raise AnalysisError("A value is infinite.", mend="Give such a trial its status, no value.")
    known = completed(trials) & ~np.isnan(points).any(axis=1)
    mask = known.copy()
    for i in np.flatnonzero(known):
        as_good = (points[known] >= points[i]).all(axis=1)
        better = (points[known] > points[i]).any(axis=1)
        mask[i] = not (as_good & better).any()
    return pd.Series(mask, index=trials.index, name="pareto")


def _number(value: Any, name: str) -> float:
    if value is None or value is pd.NA:
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise AnalysisError(
            f"'{name}' holds {value!r}, which is no number.", mend="Give missing trials no value."
        ) from None
