"""Whole-plot errors and components of variance.

Oracles: R 4.2.2's aov with Error() and lmer in oracles.json; statsmodels' OLS on whole-plot means
and within whole plots, and MixedLM (REML); simulated studies with planted components.
"""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

from seedbed.analyze import AnalysisError, anova
from seedbed.analyze.stats.components import variance_components

# A shift per cohort takes up the data order's: OLS says so, and its residual sums stay right.
pytestmark = pytest.mark.filterwarnings("ignore:The design matrix is rank-deficient")

ORACLES = json.loads((Path(__file__).parent / "oracles.json").read_text())["oracles"]


def data(name: str) -> pd.DataFrame:
    return pd.DataFrame(ORACLES[name]["data"]["rows"], columns=ORACLES[name]["data"]["columns"])


def assert_stratum(found: pd.DataFrame, table: dict[str, Any], residual: str) -> None:
    for term, df, sum_sq, mean_sq, f, p in table["rows"]:
        row = found.loc[residual if term == "Residuals" else term]
        got = [row["df"], row["sum_sq"], row["mean_sq"], row["F"], row["p"]]
        wanted = [df, sum_sq, mean_sq, *(math.nan if x is None else x for x in (f, p))]
        assert got == pytest.approx(wanted, rel=1e-9, nan_ok=True), term


def split_plot(num_days: int = 4) -> pd.DataFrame:
    """Each day two cohorts, one per `order`; in each cohort three `depth`."""
    random = np.random.default_rng(12)
    rows = []
    for day, order in itertools.product(range(num_days), ("shuffled", "sorted")):
        shift = 0.08 * (order == "sorted") + random.normal(0, 0.03)
        for depth in range(3):
            y = 0.4 + 0.01 * depth + 0.02 * day + shift + random.normal(0, 0.004)
            rows.append((day, f"{day}-{order}", order, depth, "completed", y))
    return pd.DataFrame(rows, columns=["day", "cohort", "order", "depth", "status", "top1"])


def f_within(trials: pd.DataFrame, more: str, less: str) -> float:
    """F of two nested models with a shift for every cohort, over the largest model's error.

    From residual sums of squares only: anova_lm goes wrong on aliased columns.
    """
    large, small = (
        smf.ols(f"top1 ~ C(cohort) {part}", trials).fit() for part in (f"+ {more}", less)
    )
    whole = smf.ols("top1 ~ C(cohort) + C(depth) * C(order)", trials).fit()
    gain = (small.ssr - large.ssr) / (small.df_resid - large.df_resid)
    return float(gain / (whole.ssr / whole.df_resid))


def test_npk_in_strata_is_r_s_aov() -> None:
    wanted = ORACLES["R_npk"]["expected"]["error_strata"]
    found = anova(data("R_npk"), "yield", ["N", "P", "K"], order=3, whole_plot="block")
    assert_stratum(found, wanted["Error: block"], "Residual (whole plot)")
    assert_stratum(found, wanted["Error: Within"], "Residual")
    assert found.loc["N:P:K", "stratum"] == "whole plot" and (found["note"] == "").all()
    # What statsmodels says of the term that the blocks hide: SS 3.26 or 14.86, p 0.654.
    assert found.loc["N:P:K", "sum_sq"] == pytest.approx(37.0016666667)


def test_ergo_stool_in_strata_is_r_s_aov() -> None:
    wanted = ORACLES["nlme_ergoStool"]["expected"]["error_strata"]
    found = anova(data("nlme_ergoStool"), "effort", ["Type"], whole_plot="Subject")
    assert_stratum(found, wanted["Error: Subject"], "Residual (whole plot)")
    assert_stratum(found, wanted["Error: Within"], "Residual")


def test_a_split_plot_is_two_analyses_of_two_errors() -> None:
    trials = split_plot()
    found = anova(trials, "top1", ["order", "depth"], block="day", whole_plot="cohort")
    means = trials.groupby(["day", "order"], as_index=False)["top1"].mean()
    theirs = sm.stats.anova_lm(smf.ols("top1 ~ C(day) + C(order)", means).fit())
    for term, name in {"order": "C(order)", "day": "C(day)"}.items():
        assert found.loc[term, "F"] == pytest.approx(theirs.loc[name, "F"])
        assert found.loc[term, "p"] == pytest.approx(theirs.loc[name, "PR(>F)"])
        assert found.loc[term, "sum_sq"] == pytest.approx(3 * theirs.loc[name, "sum_sq"])
    assert found.loc["Residual (whole plot)", "df"] == 3
    assert found.loc["depth", "F"] == pytest.approx(f_within(trials, "C(depth)", ""))
    crossed = f_within(trials, "C(depth) * C(order)", "+ C(depth)")
    assert found.loc["order:depth", "F"] == pytest.approx(crossed)
    assert list(found["stratum"]) == ["whole plot"] * 2 + ["within"] * 2 + ["whole plot", "within"]
    # The error within cohorts would call the data order's effect certain.
    naive = anova(trials, "top1", ["order", "depth"], block="day")
    assert found.loc["order", "p"] > naive.loc["order", "p"]


def test_several_columns_may_name_the_whole_plot() -> None:
    trials = split_plot()
    one = anova(trials, "top1", ["order", "depth"], block="day", whole_plot="cohort")
    two = anova(trials, "top1", ["order", "depth"], block="day", whole_plot=["day", "order"])
    pd.testing.assert_frame_equal(one, two, rtol=1e-8)


def test_lost_trials_leave_the_whole_plot_test_approximate_and_said_so() -> None:
    trials = split_plot()
    trials.loc[4, "status"] = "failed"
    found = anova(trials, "top1", ["order", "depth"], block="day", whole_plot="cohort")
    assert "approximate" in found.loc["order", "note"] and found.loc["depth", "note"] == ""
    done = trials[trials["status"] == "completed"]
    crossed = f_within(done, "C(depth) * C(order)", "+ C(depth)")
    assert found.loc["order:depth", "F"] == pytest.approx(crossed)
    full = anova(split_plot(), "top1", ["order", "depth"], block="day", whole_plot="cohort")
    assert found.loc["order", "F"] == pytest.approx(full.loc["order", "F"], rel=0.2)


def test_whole_plots_that_are_none_are_refused() -> None:
    trials = split_plot()
    with pytest.raises(AnalysisError, match="one whole plot"):
        anova(trials.assign(cohort="c"), "top1", ["order"], whole_plot="cohort")
    with pytest.raises(AnalysisError, match="no column 'cohorts'"):
        anova(trials, "top1", ["order"], whole_plot="cohorts")
    with pytest.raises(AnalysisError, match="typ=3"):
        anova(trials, "top1", ["order"], whole_plot="cohort", typ=3)
    with pytest.raises(AnalysisError, match="has no level"):
        anova(trials.assign(cohort=None), "top1", ["order"], whole_plot="cohort")
    once = trials[trials["day"] == 0]
    found = anova(once, "top1", ["order", "depth"], order=1, whole_plot="cohort")
    assert (
        found[["F", "p"]].isna().all(axis=None) and "one run a cell" in found.loc["order", "note"]
    )


def test_components_of_ergo_stool_are_lmer_s_and_mixedlm_s() -> None:
    trials = data("nlme_ergoStool")
    found = variance_components(trials, "effort", ["Type"], block="Subject")
    seed, residual = (
        row[3] for row in ORACLES["nlme_ergoStool"]["expected"]["lmer_varcomp"]["rows"]
    )
    assert found.loc["seed", "variance"] == pytest.approx(seed, rel=1e-6)
    assert found.loc["residual", "variance"] == pytest.approx(residual, rel=1e-6)
    theirs = smf.mixedlm("effort ~ C(Type)", trials, groups="Subject").fit(reml=True)
    assert theirs.cov_re.iloc[0, 0] == pytest.approx(found.loc["seed", "variance"], rel=1e-3)
    assert theirs.scale == pytest.approx(found.loc["residual", "variance"], rel=1e-3)
    # Balanced, by hand: (MS of the cells - MS of the error) / number of seeds.
    table = anova(trials, "effort", ["Type"], block="Subject")
    by_hand = (table.loc["Type", "mean_sq"] - residual) / 9
    assert found.loc["cell", "variance"] == pytest.approx(by_hand, rel=1e-6)
    assert found["share"].sum() == pytest.approx(1)


@pytest.mark.slow
def test_components_stay_unbiased_when_trials_are_lost() -> None:
    random, found = np.random.default_rng(3), []
    for _ in range(250):
        rows = pd.DataFrame(itertools.product(range(6), range(5)), columns=["A", "seed"])
        cell, seed = random.normal(0, 2.0, 6), random.normal(0, 1.0, 5)
        rows["y"] = cell[rows["A"]] + seed[rows["seed"]] + random.normal(0, 0.5, 30)
        lost = rows.drop(index=random.choice(30, 5, replace=False))
        table = variance_components(lost, "y", ["A"])
        found.append(table["variance"])
    mean = pd.concat(found, axis=1).mean(axis=1)
    error = pd.concat(found, axis=1).std(axis=1) / math.sqrt(250)
    for name, truth in {"cell": 4.0, "seed": 1.0, "residual": 0.25}.items():
        assert abs(mean[name] - truth) < 3.5 * error[name], name


def test_the_residual_s_interval_is_the_chi_square_one() -> None:
    found = variance_components(data("nlme_ergoStool"), "effort", ["Type"], block="Subject")
    low, high = found.loc["residual", ["ci_low", "ci_high"]]
    # qchisq(0.975, 24) = 39.36408, qchisq(0.025, 24) = 12.40115
    assert [low, high] == pytest.approx([29.05555556 / 39.36408, 29.05555556 / 12.40115], rel=1e-6)


def test_components_that_cannot_be_told_apart_are_not_given() -> None:
    trials = data("nlme_ergoStool")
    one = trials[trials["Subject"] == trials["Subject"].iloc[0]]
    found = variance_components(one, "effort", ["Type"], block="Subject")
    assert found["variance"].isna().all() and found["note"].str.contains("one seed").all()
    constant = variance_components(trials.assign(effort=1.0), "effort", ["Type"], block="Subject")
    assert constant["note"].str.contains("same in every").any()
    random = np.random.default_rng(0)
    flat = trials.assign(effort=random.normal(size=len(trials)))
    flat["effort"] -= flat.groupby("Subject")["effort"].transform("mean")
    found = variance_components(flat, "effort", ["Type"], block="Subject")
    assert found.loc["seed", "variance"] == 0 and "negative" in found.loc["seed", "note"]
