"""Variance components: how much of the response's variance is the cells', seeds' and neither's.

By the method of moments, which needs no normal distribution and no iteration: Henderson 1953
(Biometrics 9:226), method 3. In balanced tables it is the classic (MS - MS error) / n.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from seedbed.analyze.stats.error_term import judged_error
from seedbed.analyze.stats.shared_columns import with_shared
from seedbed.analyze.stats.space import added_basis
from seedbed.analyze.trials.observations import Floats, Ints, observe

COLUMNS = ("variance", "sd", "share", "df", "mean_sq", "ci_low", "ci_high", "note")


def variance_components(
    trials: pd.DataFrame, response: str, factors: Sequence[str], *, block: str = "seed"
) -> pd.DataFrame:
    """Components `cell`, `seed` (whatever the block is called) and `residual`, one row each.

    Columns variance (the response's unit squared), sd, share (of the sum), df, mean_sq (each after
    the other), ci_low and ci_high (95 %, of the residual's variance only: chi-square), note. A
    negative estimate is 0 with a note. `residual` is the variance between runs of one cell on other
    seeds, beyond a seed's shift of all cells.
    """
    seen = observe(trials, response, factors, block)
    ones = np.ones((len(seen.y), 1))
    cells = _indicators(seen.cell_numbers)
    seeds = _indicators(seen.codes[block])
    per_cell, per_seed = added_basis(ones * 0, cells), added_basis(ones * 0, seeds)
    after_cells, after_seeds = added_basis(per_cell, seeds), added_basis(per_seed, cells)
    whole = np.hstack([per_cell, after_cells])
    rest = seen.y - whole @ (whole.T @ seen.y)
    error = judged_error(seen, float(rest @ rest), len(seen.y) - whole.shape[1])
    rows = {
        "cell": _component(seen.y, after_seeds, per_seed, cells, error.mean_sq),
        "seed": _component(seen.y, after_cells, per_cell, seeds, error.mean_sq),
        "residual": _residual(error.sum_sq, error.df),
    }
    # Without a usable error the components are confounded: one seed's shift is in every cell.
    for name in list(rows):
        if error.refusal and not (seen.is_constant and name == "residual"):
            nan = math.nan
            rows[name] = (nan, nan, nan, nan, nan, error.refusal)
    columns = ["variance", "df", "mean_sq", "ci_low", "ci_high", "note"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    table.index.name = "component"
    table["sd"] = np.sqrt(table["variance"])
    total = table["variance"].sum()
    table["share"] = table["variance"] / (total if total > 0 else math.nan)
    return with_shared(
        table[list(COLUMNS)], estimate="variance", conf_low="ci_low", conf_high="ci_high"
    )


def _indicators(codes: Ints) -> Floats:
    indicators: Floats = np.eye(int(codes.max()) + 1)[codes]
    return indicators


def _component(
    y: Floats, added: Floats, others: Floats, indicators: Floats, error: float
) -> tuple[float | str, ...]:
    """From E[SS after the others] = variance * tr(Z'MZ) + df * error variance."""
    nan = math.nan
    df = added.shape[1]
    if df == 0:
        return (nan, 0, nan, nan, nan, "not estimable: it varies with nothing else held")
    along = added.T @ y
    sum_sq = float(along @ along)
    free = indicators - others @ (others.T @ indicators)
    value = (sum_sq - df * error) / float((free**2).sum())
    note = "" if value >= 0 else f"the estimate is negative ({value:.3g}): given as 0"
    return (max(value, 0.0), df, sum_sq / df, nan, nan, note)


def _residual(sum_sq: float, df: int) -> tuple[float | str, ...]:
    if df == 0:
        return (math.nan, 0, math.nan, math.nan, math.nan, "no degrees of freedom")
    low, high = (sum_sq / float(stats.chi2.ppf(tail, df)) for tail in (0.975, 0.025))
    return (sum_sq / df, df, sum_sq / df, low, high, "")
