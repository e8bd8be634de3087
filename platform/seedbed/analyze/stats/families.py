"""A family of comparisons: estimates with adjusted p values and, where the method has them,
simultaneous intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from seedbed.analyze.stats.fit import Fit
from seedbed.analyze.stats.multiplicity import METHODS, adjust
from seedbed.analyze.stats.simultaneous import dunnett_p, dunnett_quantile, tukey_p, tukey_quantile
from seedbed.analyze.trials.observations import AnalysisError, Floats
from seedbed.errors import nearest

CONTRAST_METHODS = (*METHODS, "dunnett", "tukey")
COLUMNS = ("difference", "se", "df", "t", "p", "p_adjusted", "ci_low", "ci_high", "note")


def checked_method(method: str, known: Sequence[str] = CONTRAST_METHODS) -> str:
    """The method's name in small letters; raises with the nearest one."""
    name = str(method).lower()
    if name not in known:
        raise AnalysisError(f"Adjustment {method!r} is not known.", mend=nearest(method, known))
    return name


def family_table(
    fit: Fit, weights: Sequence[Floats], method: str, *, num_means: int | None = None
) -> pd.DataFrame:
    """One row per comparison, in the columns `COLUMNS`; what has no p is no member of the family.

    `dunnett` and `tukey` replace the intervals by simultaneous ones; the other methods leave them
    at 95 % each. `num_means` is how many means tukey's pairs are among (default: one more than
    the comparisons that can be tested).
    """
    found = [fit.estimate(own) for own in weights]
    table = pd.DataFrame([vars(estimate) for estimate in found]).rename(
        columns={"value": "difference"}
    )
    members = [i for i, estimate in enumerate(found) if not np.isnan(estimate.p)]
    if method in METHODS:
        table["p_adjusted"] = adjust(table["p"], method)
    else:
        table["p_adjusted"] = float("nan")
        if members:
            means = num_means if num_means is not None else len(members) + 1
            _simultaneous(fit, table, [weights[i] for i in members], members, method, means)
    return table[list(COLUMNS)]


def _simultaneous(
    fit: Fit,
    table: pd.DataFrame,
    weights: Sequence[Floats],
    members: list[int],
    method: str,
    num_means: int,
) -> None:
    correlation = _correlation(fit, weights)
    reach: dict[float, float] = {}  # by degrees of freedom: one value unless variances differ
    for row in members:
        t, df, se, centre = (
            float(table[name].iloc[row]) for name in ("t", "df", "se", "difference")
        )
        if method == "tukey":
            p = tukey_p(t, df, num_means)
            reach[df] = reach.get(df) or tukey_quantile(df, num_means)
        else:
            p = dunnett_p(t, df, correlation)
            reach[df] = reach.get(df) or dunnett_quantile(df, correlation)
        half = reach[df] * se
        table.loc[row, ["p_adjusted", "ci_low", "ci_high"]] = [p, centre - half, centre + half]


def _correlation(fit: Fit, weights: Sequence[Floats]) -> Floats:
    """Of the estimates [k, k], when all trials have one variance."""
    loadings = np.array([own for own in map(fit.loadings, weights) if own is not None])
    covariance = loadings @ loadings.T
    sizes = np.sqrt(np.diag(covariance))
    correlation: Floats = covariance / np.outer(sizes, sizes)
    return correlation
