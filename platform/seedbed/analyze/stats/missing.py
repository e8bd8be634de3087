"""Missing trials, and how they could change the conclusions."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from scipy import stats

from seedbed.analyze.stats.fit import Fit
from seedbed.analyze.stats.means import level_contrasts
from seedbed.analyze.trials.observations import AnalysisError, Level, completed, levels_of, observe


def missing_trials(trials: pd.DataFrame, factors: Sequence[str]) -> pd.DataFrame:
    """The planned trials that did not complete: key, factors, seed, status, failure, attempt,
    reason."""
    named = ("key", *factors, "seed", "status", "failure", "attempt", "reason")
    columns = [name for name in named if name in trials.columns]
    return trials.loc[~completed(trials), columns].reset_index(drop=True)


def divergence_rates(trials: pd.DataFrame, factor: str) -> pd.DataFrame:
    """How often trials diverged at each level, with the Clopper-Pearson 95 % interval.

    Columns level, num_ended (completed or diverged), num_diverged, rate, ci_low, ci_high.
    Clopper & Pearson 1934.
    """
    rows = []
    for level in levels_of(trials[factor], factor):
        status = trials.loc[trials[factor] == level, "status"]
        num_diverged = int((status == "diverged").sum())
        num_ended = num_diverged + int((status == "completed").sum())
        rate = low = high = float("nan")
        if num_ended:
            share = stats.binomtest(num_diverged, num_ended)
            interval = share.proportion_ci(0.95, method="exact")
            rate, low, high = share.statistic, float(interval.low), float(interval.high)
        rows.append((level, num_ended, num_diverged, rate, low, high))
    columns = ["level", "num_ended", "num_diverged", "rate", "ci_low", "ci_high"]
    return pd.DataFrame(rows, columns=columns)


def fragile_levels(
    trials: pd.DataFrame,
    response: str,
    factors: Sequence[str],
    *,
    of: str,
    baseline: object,
    block: str | None = None,
    order: int = 2,
) -> set[Level]:
    """Levels whose difference from the baseline can change sign with the diverged trials' values.

    A worst case: each diverged trial is imputed with the worst or the best value of any completed
    trial, once all in favour of the level and once all against it.
    """
    diverged = trials["status"] == "diverged"
    if not diverged.any():
        return set()
    values = trials.loc[completed(trials), response].astype(float)
    low, high = values.min(), values.max()
    signs: dict[Level, set[bool]] = {}
    for at_level, at_baseline in ((low, high), (high, low)):
        filled = trials.copy()
        # `contrasts` reads completed trials only.
        filled.loc[diverged, "status"] = "completed"
        is_baseline = filled[of].astype(str) == str(baseline)
        filled[response] = filled[response].astype(float)
        filled.loc[diverged & is_baseline, response] = at_baseline
        filled.loc[diverged & ~is_baseline, response] = at_level
        try:
            fit = Fit(observe(filled, response, factors, block), order)
            comparisons = level_contrasts(fit, of, baseline)
        except AnalysisError:
            return set()
        for one in comparisons:
            signs.setdefault(one.level, set()).add(one.estimate > 0)
    return {level for level, both in signs.items() if len(both) > 1}
