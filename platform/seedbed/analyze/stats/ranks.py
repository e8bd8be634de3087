"""Compares levels over several tasks by ranks, since the tasks' scales need not be comparable.

Friedman 1937 (JASA 32:675); Iman & Davenport 1980; Nemenyi 1963; Demsar 2006 (JMLR 7:1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from seedbed.analyze.numbers import counted
from seedbed.analyze.stats.shared_columns import with_shared
from seedbed.analyze.trials.observations import (
    AnalysisError,
    Floats,
    Level,
    completed,
    label_text,
    levels_of,
    refuse_duplicates,
    require_column,
)

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Ranks:
    """`ranks`, indexed by level: mean rank over the tasks (1 is best), num_tasks.

    `statistic` and `p` are Friedman's chi-square with `df`; `f`, `f_p` Iman and Davenport's
    correction. Two levels differ when their mean ranks are `critical_difference` apart (Nemenyi,
    all pairs together, 95 %). NaN with a `note` where the table allows none.
    """

    ranks: pd.DataFrame
    statistic: float
    df: int
    p: float
    f: float
    f_p: float
    critical_difference: float
    note: str


def rank_levels(
    trials: pd.DataFrame,
    responses: Sequence[str],
    *,
    of: str,
    higher_is_better: bool = True,
) -> Ranks:
    """Ranks the levels of `of` on every task by their mean over completed trials.

    The tasks are the blocks; seeds are not independent tasks, so they are averaged first. Every
    level needs a completed trial on every task.
    """
    names = _named(trials, responses)
    require_column(trials, of)
    levels = levels_of(trials[of], of)
    for name in names:
        refuse_duplicates(trials, name, [of])
    if len(levels) < 2 or len(names) < 2:
        raise AnalysisError(
            f"Ranks need two levels and two tasks; there are {counted(len(levels), 'level')} and "
            f"{counted(len(names), 'task')}."
        )
    done = trials[completed(trials)]
    scores = np.array([[_mean(done, of, level, name) for level in levels] for name in names])
    lacking = [label_text(level) for level, own in zip(levels, scores.T, strict=True)
               if np.isnan(own).any()]  # fmt: skip
    nan = math.nan
    if lacking:
        table = _table(nan, 0, levels, of)
        note = f"not estimable: {of} {lacking[0]} has no completed trial on every task"
        return Ranks(table, nan, len(levels) - 1, nan, nan, nan, nan, note)
    ranks = stats.rankdata(-scores if higher_is_better else scores, axis=1)
    return _tested(_table(ranks.mean(axis=0), len(names), levels, of), ranks)


def _table(ranks: Floats | float, num_tasks: int, levels: Sequence[Level], of: str) -> pd.DataFrame:
    index = pd.Index(list[Any](levels), name=of)
    table = pd.DataFrame({"mean_rank": ranks, "num_tasks": num_tasks}, index=index)
    return with_shared(table, estimate="mean_rank")


def _tested(table: pd.DataFrame, ranks: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Ranks:
    num_tasks, num_levels = ranks.shape
    df, nan = num_levels - 1, math.nan
    spread = float(((ranks - (num_levels + 1) / 2) ** 2).sum())
    if spread == 0:
        note = "all levels tie on every task: nothing to test"
        return Ranks(table, nan, df, nan, nan, nan, nan, note)
    between = num_tasks * float(((ranks.mean(axis=0) - (num_levels + 1) / 2) ** 2).sum())
    value = num_tasks * df * between / spread  # with the correction for ties
    p = float(stats.chi2.sf(value, df))
    most = num_tasks * df
    left = most - value
    f = (num_tasks - 1) * value / left if left > 1e-12 * most else math.inf
    f_p = float(stats.f.sf(f, df, df * (num_tasks - 1)))
    distance = critical_difference(num_levels, num_tasks)
    return Ranks(table, value, df, p, f, f_p, distance, "")


def critical_difference(num_levels: int, num_tasks: int) -> float:
    """Nemenyi's: mean ranks this far apart differ, over all pairs with 95 % confidence."""
    if num_levels < 2 or num_tasks < 2:
        raise AnalysisError("A critical difference needs two levels and two tasks.")
    q = float(stats.studentized_range.ppf(_CONFIDENCE, num_levels, np.inf)) / math.sqrt(2)
    return q * math.sqrt(num_levels * (num_levels + 1) / (6 * num_tasks))


def _mean(done: pd.DataFrame, of: str, level: object, name: str) -> float:
    try:
        values = done.loc[done[of] == level, name].astype(float)
    except (TypeError, ValueError):
        raise AnalysisError(f"'{name}' holds values that are no numbers.") from None
    if np.isinf(values).any():
        raise AnalysisError(
            f"'{name}' is infinite.", mend="Give such a trial its status and no value."
        )
    return float(values.mean())


def _named(trials: pd.DataFrame, responses: Sequence[str]) -> tuple[str, ...]:
    names = (responses,) if isinstance(responses, str) else tuple(responses)
    if not names or len(set(names)) != len(names):
        raise AnalysisError("Name every task's response once.", mend="Name two or more.")
    for name in names:
        require_column(trials, name)
    return names
