"""Every comparison of a response in one table, with effect sizes: what `effects.csv` holds."""

from __future__ import annotations

import math

import pandas as pd

from seedbed.analyze.findings.response import ResponseFindings
from seedbed.analyze.stats.comparison import Comparison
from seedbed.analyze.stats.effect_sizes import Size, hedges_g, partial_eta_sq, partial_omega_sq
from seedbed.analyze.trials.rows import rows_of

COLUMNS = (
    "term", "comparison", "difference", "se", "df", "ci_low", "ci_high", "p", "p_adjusted",
    "hedges_g", "g_low", "g_high", "note",
)  # fmt: skip
_NONE = Size(math.nan, math.nan, math.nan)


def effect_table(response: ResponseFindings) -> pd.DataFrame:
    """Main effects against the baseline, then interactions: one row per comparison.

    `hedges_g` is the difference in residual standard deviations (of repeating a cell on another
    seed), with its 95 % interval where intervals rest on that deviation.
    """
    if response.fault:
        return pd.DataFrame(columns=list(COLUMNS))
    sigma = math.sqrt(float(response.anova["mean_sq"]["Residual"]))
    rows = [_row(one, sigma, response) for one in (*response.contrasts, *response.interactions)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def share_table(response: ResponseFindings) -> pd.DataFrame:
    """Partial eta and omega squared of every term with their 95 % intervals."""
    columns = ["term", "partial_eta_sq", "eta_low", "eta_high"]
    columns += ["partial_omega_sq", "omega_low", "omega_high"]
    if response.fault:
        return pd.DataFrame(columns=columns)
    table = response.anova
    num_trials = int(table["df"].sum()) + 1
    df_error = float(table["df"]["Residual"])
    rows = []
    for term, row in zip(table.index, rows_of(table), strict=True):
        if math.isnan(row["F"]):
            continue
        # A term tested between whole plots has an error of its own.
        own = df_error if row.get("stratum", "") != "whole plot" else _whole_df(table)
        eta = partial_eta_sq(float(row["F"]), float(row["df"]), own)
        omega = partial_omega_sq(float(row["F"]), float(row["df"]), own, num_trials)
        values = (eta.value, eta.ci_low, eta.ci_high, omega.value, omega.ci_low, omega.ci_high)
        rows.append((str(term), *values))
    return pd.DataFrame(rows, columns=columns)


def _whole_df(table: pd.DataFrame) -> float:
    return float(table["df"].get("Residual (whole plot)", math.nan))


def _row(one: Comparison, sigma: float, response: ResponseFindings) -> dict[str, object]:
    size = _NONE
    if sigma > 0 and one.has_interval:
        if response.error == "pooled":
            size = hedges_g(one.statistic, one.df, one.std_error / sigma)
        else:
            df = float(response.anova["df"]["Residual"])
            value = hedges_g(one.estimate / sigma, df, 1.0).value
            size = Size(value, math.nan, math.nan)
    sizes = {"hedges_g": size.value, "g_low": size.ci_low, "g_high": size.ci_high}
    return {"term": one.term, "comparison": one.words, **one.row(), **sizes}
