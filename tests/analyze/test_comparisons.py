"""Families of comparisons, pairs, interactions among more factors, and unequal variances.

Oracles: R 4.2.2's TukeyHSD, emmeans (Dunnett by multivariate t) and aov in oracles.json; scipy's
dunnett, tukey_hsd, ttest_ind and ttest_1samp; simulation of the multivariate t.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from seedbed.analyze import AnalysisError, adjust, contrasts, interaction_contrast, pairwise
from seedbed.analyze.stats.crossed import other_factors
from seedbed.analyze.stats.simultaneous import dunnett_p, dunnett_quantile

ORACLES = json.loads((Path(__file__).parent / "oracles.json").read_text())["oracles"]
WARP = {"factors": ["wool", "tension"], "order": 1}


def data(name: str) -> pd.DataFrame:
    return pd.DataFrame(ORACLES[name]["data"]["rows"], columns=ORACLES[name]["data"]["columns"])


def expected(name: str) -> dict[str, Any]:
    return ORACLES[name]["expected"]


def warpbreaks() -> pd.DataFrame:
    trials = data("R_warpbreaks")
    return trials.assign(tension=pd.Categorical(trials["tension"], ["L", "M", "H"]))


def grid(num_seeds: int = 3, **levels: int) -> pd.DataFrame:
    """A full grid with a planted A:B interaction, a large effect of the others and seed shifts."""
    random = np.random.default_rng(8)
    rows = list(itertools.product(*map(range, levels.values()), range(num_seeds)))
    trials = pd.DataFrame(rows, columns=[*levels, "seed"])
    y = 0.02 * trials["A"] * trials["B"] + 0.05 * trials["seed"] + random.normal(0, 0.01, len(rows))
    for name in list(levels)[2:]:
        y += 0.7 * trials[name]
    return trials.assign(status="completed", top1=y)


def assert_pairs_match(found: pd.DataFrame, rows: list[list[Any]]) -> None:
    for row, (name, difference, low, high, p) in zip(
        found.itertuples(index=False), rows, strict=True
    ):
        assert [row.difference, row.ci_low, row.ci_high] == pytest.approx(
            [difference, low, high], rel=1e-6
        ), name
        # R's ptukey stops at about 1e-10.
        assert row.p_adjusted == pytest.approx(p, rel=1e-6, abs=2e-9), name


def test_pairs_in_a_two_factor_model_are_tukey_hsd_s() -> None:
    rows = expected("R_warpbreaks")["tukey_tension_additive"]["rows"]
    found = pairwise(warpbreaks(), "breaks", WARP["factors"], of="tension", order=1)
    assert list(zip(found["level"], found["other"], strict=True)) == [
        ("M", "L"),
        ("H", "L"),
        ("H", "M"),
    ]
    assert_pairs_match(found, rows)
    # What a one-way error would say (statsmodels' pairwise_tukeyhsd).
    for row, wrong in zip(found.itertuples(), (0.0385, 0.0014, 0.4631), strict=True):
        assert abs(row.p_adjusted - wrong) > 2e-4


def test_pairs_of_cells_and_of_each_factor_are_tukey_hsd_s() -> None:
    # R lets the first factor turn fastest within the second.
    found = pairwise(warpbreaks(), "breaks", ["wool", "tension"], of=["tension", "wool"])
    assert_pairs_match(found, expected("R_warpbreaks")["tukey_cells"]["rows"])
    teeth = data("R_ToothGrowth")
    for name in ("supp", "dose"):
        found = pairwise(teeth, "len", ["supp", "dose"], of=name)
        assert_pairs_match(found, expected("R_ToothGrowth")[f"tukey_{name}"]["rows"])


def test_pairs_of_unequal_groups_are_scipy_s_tukey_kramer() -> None:
    random = np.random.default_rng(0)
    groups = [random.normal(i, 1, n) for i, n in enumerate((4, 7, 5))]
    trials = pd.DataFrame(
        [(i, value) for i, group in enumerate(groups) for value in group], columns=["A", "y"]
    )
    theirs = stats.tukey_hsd(*groups)
    interval = theirs.confidence_interval()
    for row in pairwise(trials, "y", ["A"], of="A").itertuples():
        i, j = row.level, row.other
        assert row.p_adjusted == pytest.approx(theirs.pvalue[i, j], rel=1e-6)
        assert [row.ci_low, row.ci_high] == pytest.approx(
            [interval.low[i, j], interval.high[i, j]], rel=1e-6
        )


def test_dunnett_against_the_baseline_is_emmeans_multivariate_t() -> None:
    found = contrasts(
        warpbreaks(), "breaks", ["wool", "tension"], of="tension", baseline="L", order=1,
        adjust="dunnett",
    )  # fmt: skip
    for row, (_, estimate, se, df, low, high, t, p) in zip(
        found.itertuples(), expected("R_warpbreaks")["dunnett_tension_vs_L"]["rows"], strict=True
    ):
        got = [row.difference, row.se, row.df, row.ci_low, row.ci_high, row.t, row.p_adjusted]
        # R integrates by simulation: three digits of its limits hold.
        assert got == pytest.approx([estimate, se, df, low, high, t, p], rel=1e-3)


def test_dunnett_against_many_levels_is_scipy_s() -> None:
    random = np.random.default_rng(1)
    groups = [random.normal(0.4 * i, 1, n) for i, n in enumerate((6, 5, 8, 4))]
    trials = pd.DataFrame(
        [(i, value) for i, group in enumerate(groups) for value in group], columns=["A", "y"]
    )
    found = contrasts(trials, "y", ["A"], of="A", baseline=0, adjust="dunnett")
    theirs = stats.dunnett(*groups[1:], control=groups[0], rng=np.random.default_rng(0))
    assert list(found["p_adjusted"]) == pytest.approx(list(theirs.pvalue), abs=1e-4)
    interval = theirs.confidence_interval()
    assert list(found["ci_low"]) == pytest.approx(list(interval.low), abs=2e-3)


def test_dunnett_of_any_correlations_agrees_with_simulation_and_with_itself() -> None:
    shared = np.array([[1.0, 0.5, 0.5], [0.5, 1.0, 0.5], [0.5, 0.5, 1.0]])
    uneven = np.array([[1.0, 0.6, 0.1], [0.6, 1.0, 0.5], [0.1, 0.5, 1.0]])
    random = np.random.default_rng(2)
    for correlation in (shared, uneven):
        z = random.multivariate_normal(np.zeros(3), correlation, 400_000)
        t = np.abs(z / np.sqrt(random.chisquare(9, 400_000) / 9)[:, None]).max(axis=1)
        assert dunnett_p(2.2, 9, correlation) == pytest.approx((t > 2.2).mean(), abs=2e-3)
        assert dunnett_quantile(9, correlation) == pytest.approx(np.quantile(t, 0.95), abs=2e-2)
        assert dunnett_p(2.2, 9, correlation) == dunnett_p(2.2, 9, correlation)
    # The lattice and the quadrature, on correlations that differ by nothing that matters.
    nearly = shared + 1e-7 * np.array([[0, 1, -1], [1, 0, 0], [-1, 0, 0]])
    assert dunnett_p(2.2, 9, nearly) == pytest.approx(dunnett_p(2.2, 9, shared), abs=2e-5)
    # Dunnett's table, 95 % two-sided, 10 degrees of freedom, two and three comparisons.
    assert dunnett_quantile(10, shared[:2, :2]) == pytest.approx(2.57, abs=6e-3)
    assert dunnett_quantile(10, shared) == pytest.approx(2.76, abs=6e-3)


def test_simultaneous_intervals_decide_as_their_p_values_do() -> None:
    trials = grid(4, A=5, B=2)
    trials = trials.drop(index=[3, 11])
    for method in ("dunnett", "tukey"):
        found = contrasts(
            trials, "top1", ["A", "B"], of="A", baseline=0, block="seed", adjust=method
        )
        outside = (found["ci_low"] > 0) | (found["ci_high"] < 0)
        assert list(outside) == list(found["p_adjusted"] < 0.05)
        plain = contrasts(
            trials, "top1", ["A", "B"], of="A", baseline=0, block="seed", adjust="none"
        )
        assert (found["p_adjusted"] > plain["p_adjusted"]).all()
        assert (found["ci_low"] < plain["ci_low"]).all()
        assert (plain["p_adjusted"] == plain["p"]).all()


def test_a_family_of_one_is_not_adjusted() -> None:
    trials = grid(4, A=2, B=2)
    rows = [
        contrasts(trials, "top1", ["A", "B"], of="A", baseline=0, block="seed", adjust=m).iloc[0]
        for m in ("none", "holm", "bh", "bonferroni", "dunnett", "tukey")
    ]
    for row in rows[1:]:
        for name in ("p_adjusted", "ci_low", "ci_high"):
            assert row[name] == pytest.approx(rows[0][name], rel=1e-8)


def test_unknown_adjustments_name_the_nearest() -> None:
    trials = grid(3, A=2, B=2)
    with pytest.raises(AnalysisError, match="Did you mean 'dunnett'"):
        contrasts(trials, "top1", ["A"], of="A", baseline=0, adjust="dunnet")
    with pytest.raises(AnalysisError, match="'dunnett' is not known"):
        pairwise(trials, "top1", ["A"], of="A", adjust="dunnett")
    with pytest.raises(AnalysisError, match="error is 'welch'"):
        contrasts(trials, "top1", ["A"], of="A", baseline=0, error="welch")
    with pytest.raises(AnalysisError, match="one level"):
        pairwise(trials[trials["A"] == 0], "top1", ["A", "B"], of="A")


def test_a_level_without_trials_leaves_tukey_s_family() -> None:
    trials = grid(3, A=4, B=2)
    trials.loc[trials["A"] == 3, "status"] = "failed"
    found = pairwise(trials, "top1", ["A"], of="A", block="seed")
    gone = (found["level"] == 3) | (found["other"] == 3)
    assert found.loc[gone, "p_adjusted"].isna().all()
    assert found.loc[gone, "note"].str.contains("no completed trial at A 3").all()
    kept = pairwise(trials[trials["A"] != 3], "top1", ["A"], of="A", block="seed")
    pd.testing.assert_frame_equal(found[~gone].reset_index(drop=True), kept)


def test_one_seed_has_no_simultaneous_interval_either() -> None:
    trials = grid(1, A=3, B=2)
    for found in (
        pairwise(trials, "top1", ["A", "B"], of="A"),
        contrasts(trials, "top1", ["A", "B"], of="A", baseline=0, adjust="dunnett"),
        contrasts(trials, "top1", ["A", "B"], of="A", baseline=0, adjust="tukey"),
        interaction_contrast(trials, "top1", "A", "B"),
    ):
        assert found[["se", "p", "p_adjusted", "ci_low", "ci_high"]].isna().all(axis=None)
        assert found["difference"].notna().all()
        assert found["note"].str.contains("one seed").all()


def test_further_factors_are_averaged_over_and_stay_out_of_the_error() -> None:
    trials = grid(3, A=2, B=2, C=3)
    trials["depth"] = trials.pop("C").map({0: "3", 1: "6", 2: "12"})
    found = interaction_contrast(trials, "top1", "A", "B", block="seed")
    named = interaction_contrast(
        trials, "top1", "A", "B", block="seed", factors=["A", "B", "depth"]
    )
    pd.testing.assert_frame_equal(found, named)
    assert found.attrs["averaged_over"] == ["depth"]
    assert found.loc[0, "se"] < 0.02  # the depths differ by 0.7
    # Balanced: the difference of differences of plain means.
    means = trials.groupby(["A", "B"])["top1"].mean()
    by_hand = means[1, 1] - means[0, 1] - means[1, 0] + means[0, 0]
    assert found.loc[0, "difference"] == pytest.approx(by_hand)


def test_npk_interaction_has_r_s_f_and_p_with_the_third_factor_unasked() -> None:
    rows = expected("R_npk")["anova_typeI_block_plus_NPK"]["rows"]
    f, p = next(row[4:] for row in rows if row[0] == "N:P")
    found = interaction_contrast(data("R_npk"), "yield", "N", "P", block="block").iloc[0]
    assert [found["t"] ** 2, found["p"], found["df"]] == pytest.approx([f, p, 12], rel=1e-9)


def test_only_what_was_varied_counts_as_a_further_factor() -> None:
    trials = grid(3, A=2, B=2, C=2)
    random = np.random.default_rng(4)
    trials["lane"] = trials["seed"] % 2  # follows from the seed
    trials["bundle"] = trials["A"].map({0: "low", 1: "high"})  # follows from A
    trials["top5"] = trials["top1"] + random.normal(0, 1, len(trials))  # a measurement
    trials["eval/recall"] = (random.random(len(trials)) > 0.5).astype(int)
    trials["reason"] = ""
    trials["gaps"] = np.where(trials["C"] == 1, np.nan, 1.0)
    trials["fixed"] = "same"
    assert other_factors(trials, "top1", ("A", "B"), "seed") == ("C",)
    trials["C"] = trials["C"].astype(bool)
    assert other_factors(trials, "top1", ("A", "B"), "seed") == ("C",)


def test_many_levels_give_every_difference_of_differences_with_holm() -> None:
    trials = grid(3, A=3, B=4)
    found = interaction_contrast(trials, "top1", "A", "B", block="seed")
    crossed = found[found["kind"] == "interaction"]
    assert len(crossed) == 2 * 3 and len(found) == 6 + 2 * 4
    means = trials.groupby(["A", "B"])["top1"].mean()
    for row in crossed.itertuples():
        i, j = row.a_level, row.b_level
        by_hand = means[i, j] - means[0, j] - means[i, 0] + means[0, 0]
        assert row.difference == pytest.approx(by_hand)
    assert list(crossed["p_adjusted"]) == pytest.approx(list(adjust(crossed["p"], "holm")))
    simple = found[found["kind"] == "simple"]
    assert list(simple["p_adjusted"]) == pytest.approx(list(adjust(simple["p"], "holm")))


def test_unequal_variances_without_a_block_are_welch_s_test() -> None:
    wanted = expected("R_sleep_paired")["welch_t"]
    options = {"of": "group", "baseline": "2", "error": "unequal"}
    found = contrasts(data("R_sleep_paired"), "extra", ["group"], **options).iloc[0]
    got = [found["t"], found["df"], found["p"], found["ci_low"], found["ci_high"]]
    assert got == pytest.approx([wanted[k] for k in ("t", "df", "p")] + wanted["ci"], rel=1e-9)
    random = np.random.default_rng(3)
    groups = [random.normal(0, 1, 9), random.normal(1, 6, 5)]
    trials = pd.DataFrame([(i, v) for i, g in enumerate(groups) for v in g], columns=["A", "y"])
    found = contrasts(trials, "y", ["A"], of="A", baseline=0, error="unequal").iloc[0]
    theirs = stats.ttest_ind(groups[1], groups[0], equal_var=False)
    interval = theirs.confidence_interval()
    got = [found[name] for name in ("t", "df", "p", "ci_low", "ci_high")]
    assert got == pytest.approx(
        [theirs.statistic, theirs.df, theirs.pvalue, interval.low, interval.high], rel=1e-9
    )


def test_unequal_variances_within_seeds_are_the_t_test_on_one_value_a_seed() -> None:
    trials = grid(5, A=2, B=3)
    options = {"of": "A", "baseline": 0, "block": "seed", "error": "unequal"}
    found = contrasts(trials, "top1", ["A", "B"], **options).iloc[0]
    wide = trials.pivot_table(index="seed", columns="A", values="top1")
    theirs = stats.ttest_1samp(wide[1] - wide[0], 0)
    interval = theirs.confidence_interval()
    got = [found[name] for name in ("t", "df", "p", "ci_low", "ci_high")]
    assert got == pytest.approx(
        [theirs.statistic, 4, theirs.pvalue, interval.low, interval.high], rel=1e-8
    )
    crossed = interaction_contrast(trials, "top1", "A", "B", block="seed", error="unequal")
    cells = trials.pivot_table(index="seed", columns=["A", "B"], values="top1")
    own = cells[1, 1] - cells[0, 1] - cells[1, 0] + cells[0, 0]
    assert crossed.loc[0, "t"] == pytest.approx(stats.ttest_1samp(own, 0).statistic, rel=1e-8)


def test_unequal_variances_need_three_seeds_and_two_trials_a_cell() -> None:
    trials = grid(2, A=2, B=5)
    options = {"of": "A", "baseline": 0, "error": "unequal"}
    found = contrasts(trials, "top1", ["A", "B"], block="seed", order=1, **options).iloc[0]
    assert np.isnan(found["p"]) and "2 of the blocks hold this comparison" in found["note"]
    lone = grid(3, A=2, B=2)
    lone = lone.drop(index=lone.index[(lone["A"] == 1) & (lone["B"] == 1) & (lone["seed"] > 0)])
    found = contrasts(lone, "top1", ["A", "B"], **options).iloc[0]
    assert np.isnan(found["p"]) and "a single trial" in found["note"]
