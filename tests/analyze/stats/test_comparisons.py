"""Families of comparisons, interactions among more factors, and unequal variances.

Oracles: R 4.2.2's aov and t.test in oracles.json; scipy's ttest_ind and ttest_1samp.
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

from seedbed.analyze import AnalysisError, adjust, contrasts, interaction_contrast
from seedbed.analyze.stats.crossed import other_factors

ORACLES = json.loads((Path(__file__).parent / "oracles.json").read_text())["oracles"]


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


def test_a_family_of_one_is_not_adjusted() -> None:
    trials = grid(4, A=2, B=2)
    rows = [
        contrasts(trials, "top1", ["A", "B"], of="A", baseline=0, block="seed", adjust=m).iloc[0]
        for m in ("none", "holm", "bh", "bonferroni")
    ]
    for row in rows[1:]:
        for name in ("p_adjusted", "ci_low", "ci_high"):
            assert row[name] == pytest.approx(rows[0][name], rel=1e-8)


def test_unknown_adjustments_name_the_nearest() -> None:
    trials = grid(3, A=2, B=2)
    with pytest.raises(AnalysisError, match="Did you mean 'holm'"):
        contrasts(trials, "top1", ["A"], of="A", baseline=0, adjust="holmes")
    with pytest.raises(AnalysisError, match="'dunnett' is not known"):
        contrasts(trials, "top1", ["A"], of="A", baseline=0, adjust="dunnett")
    with pytest.raises(AnalysisError, match="error is 'welch'"):
        contrasts(trials, "top1", ["A"], of="A", baseline=0, error="welch")
    with pytest.raises(AnalysisError, match="one level"):
        contrasts(trials[trials["A"] == 0], "top1", ["A", "B"], of="A", baseline=0)


def test_one_seed_has_no_interval() -> None:
    trials = grid(1, A=3, B=2)
    for found in (
        contrasts(trials, "top1", ["A", "B"], of="A", baseline=0),
        contrasts(trials, "top1", ["A", "B"], of="A", baseline=0, adjust="bh"),
        interaction_contrast(trials, "top1", "A", "B"),
    ):
        assert found[["se", "p", "p_adjusted", "ci_low", "ci_high"]].isna().all(axis=None)
        assert found["difference"].notna().all()
        assert found["note"].str.contains("one run a cell").all()


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
