"""Checks of the model, Box-Cox, sign-flip tests and bootstrap intervals.

Oracles: R 4.2.2's leveneTest and shapiro.test in oracles.json; statsmodels' OLSInfluence; scipy's
boxcox_llf, permutation_test and bootstrap; planted faults.
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
import statsmodels.formula.api as smf
from scipy import stats

from seedbed.analyze import AnalysisError
from seedbed.analyze.stats.boxcox import box_cox, profile
from seedbed.analyze.stats.diagnostics import diagnose
from seedbed.analyze.stats.fit import Fit
from seedbed.analyze.stats.resampling import bca_interval, by_seed, sign_flip_p
from seedbed.analyze.trials.observations import observe

ORACLES = json.loads((Path(__file__).parent / "oracles.json").read_text())["oracles"]


def data(name: str) -> pd.DataFrame:
    return pd.DataFrame(ORACLES[name]["data"]["rows"], columns=ORACLES[name]["data"]["columns"])


def made(y: Any, num_seeds: int = 8) -> pd.DataFrame:
    """y(a, b, seed, random) on a 2 x 3 grid."""
    random = np.random.default_rng(9)
    rows = [
        (a, b, seed, "completed", y(a, b, seed, random))
        for a, b, seed in itertools.product(range(2), range(3), range(num_seeds))
    ]
    return pd.DataFrame(rows, columns=["A", "B", "seed", "status", "y"])


def test_checks_of_tooth_growth_are_r_s() -> None:
    wanted = ORACLES["R_ToothGrowth"]["expected"]
    checks = diagnose(data("R_ToothGrowth"), "len", ["supp", "dose"]).checks
    f, p = wanted["levene_median"]["rows"][0][2:]
    levene = checks.loc["equal variances"]
    assert [levene["statistic"], levene["p"]] == pytest.approx([f, p], rel=1e-9)
    assert levene["df"] == "5, 54"
    shapiro = checks.loc["normal residuals"]
    assert [shapiro["statistic"], shapiro["p"]] == pytest.approx(
        wanted["shapiro_residuals"], rel=1e-4
    )


def test_influence_is_statsmodels() -> None:
    trials = data("R_warpbreaks").drop(index=[2, 30])
    found = diagnose(trials, "breaks", ["wool", "tension"]).trials
    theirs = smf.ols("breaks ~ C(wool) * C(tension)", trials).fit().get_influence()
    assert list(found.index) == list(trials.index)
    for name, values in (
        ("leverage", theirs.hat_matrix_diag),
        ("studentised", theirs.resid_studentized_external),
        ("cooks_distance", theirs.cooks_distance[0]),
    ):
        assert list(found[name]) == pytest.approx(list(values), rel=1e-8), name


def test_warpbreaks_asks_for_the_logarithm_of_counts() -> None:
    found = diagnose(data("R_warpbreaks"), "breaks", ["wool", "tension"])
    assert "equal variances" in found.violated or "normal residuals" in found.violated
    lam = found.box_cox
    assert lam.ci_low < 0 < lam.ci_high < 1
    assert found.remedies[0].startswith("Analyse log(breaks)")


def test_the_profile_is_scipy_s_for_one_mean_and_brute_force_for_a_model() -> None:
    random = np.random.default_rng(2)
    y = np.exp(random.normal(0, 0.5, 30))
    fit = Fit(observe(pd.DataFrame({"A": 0, "y": y}), "y", ["A"]), order=1)
    theirs = [stats.boxcox_llf(power, y) for power in (-1.0, 0.0, 0.5, 2.0)]
    ours = [profile(fit, power) for power in (-1.0, 0.0, 0.5, 2.0)]
    assert np.diff(ours) == pytest.approx(np.diff(theirs), rel=1e-9)
    trials = made(lambda a, b, seed, r: math.exp(0.4 * a + 0.2 * b + r.normal(0, 0.3)))
    found = box_cox(Fit(observe(trials, "y", ["A", "B"]), order=2))

    def likelihood(power: float) -> float:
        changed = np.log(trials["y"]) if power == 0 else (trials["y"] ** power - 1) / power
        rest = smf.ols("z ~ C(A) * C(B)", trials.assign(z=changed)).fit().ssr
        return -len(trials) / 2 * math.log(rest) + (power - 1) * np.log(trials["y"]).sum()

    best = likelihood(found.value)
    assert best >= max(likelihood(found.value + step) for step in (-1e-3, 1e-3))
    for end in (found.ci_low, found.ci_high):
        assert best - likelihood(end) == pytest.approx(3.841458821 / 2, rel=1e-5)
    assert found.ci_low < 0 < found.ci_high


def test_planted_faults_are_found_and_answered_in_a_fixed_order() -> None:
    clean = made(lambda a, b, seed, r: 0.4 + 0.01 * a + 0.02 * seed + r.normal(0, 0.005))
    found = diagnose(clean, "y", ["A", "B"], block="seed")
    assert found.violated == () and found.remedies == ()
    one_off = clean.copy()
    one_off.loc[20, "y"] -= 0.2
    found = diagnose(one_off, "y", ["A", "B"], block="seed")
    assert found.violated[0] == "outliers" and "row 20 first" in found.remedies[0]
    assert found.trials["cooks_distance"].idxmax() == 20
    wild = made(lambda a, b, seed, r: 5 + seed + r.normal(0, 0.02 if a else 1.0), 12)
    found = diagnose(wild, "y", ["A", "B"], block="seed")
    assert "equal variances" in found.violated
    assert any('error="unequal"' in words for words in found.remedies)
    shares = made(lambda a, b, seed, r: 1 / (1 + math.exp(4 - 2.4 * a - b + r.normal(0, 0.5))), 15)
    found = diagnose(shares, "y", ["A", "B"])
    assert any(words.startswith("Analyse logit(y)") for words in found.remedies)
    heavy = made(lambda a, b, seed, r: 5 + r.standard_t(1.5), 12)
    found = diagnose(heavy, "y", ["A", "B"])
    assert "sign-flip" in found.remedies[-1]


def test_levene_within_blocks_does_not_see_the_blocks() -> None:
    # The seeds' shifts are 100 times the noise; unremoved they drown the one noisy level.
    trials = made(lambda a, b, seed, r: seed + r.normal(0, 0.1 if a else 0.01), 12)
    assert diagnose(trials, "y", ["A", "B"], block="seed").checks.loc["equal variances", "p"] < 0.05
    assert diagnose(trials, "y", ["A", "B"]).checks.loc["equal variances", "p"] > 0.5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t[t["seed"] == 0], "one seed"),
        (lambda t: t.assign(y=1.0), "the same in every completed trial"),
        (lambda t: t.assign(y=t["A"] + 1.0 * t["seed"]), "agree exactly"),
    ],
)
def test_what_has_no_error_has_no_diagnosis(change: Any, words: str) -> None:
    trials = change(made(lambda a, b, seed, r: r.normal()))
    found = diagnose(trials, "y", ["A", "B"], block="seed")
    assert found.checks[["statistic", "p"]].isna().all(axis=None)
    assert found.checks["note"].str.contains(words).all()
    assert found.violated == () and found.remedies == () and words in found.box_cox.note


def test_a_response_that_is_not_positive_has_no_box_cox() -> None:
    found = diagnose(made(lambda a, b, seed, r: r.normal()), "y", ["A", "B"]).box_cox
    assert math.isnan(found.value) and "not positive" in found.note


@pytest.mark.parametrize("num_seeds", [2, 3, 7, 12])
def test_sign_flips_are_scipy_s_exact_permutations(num_seeds: int) -> None:
    d = np.random.default_rng(num_seeds).normal(0.5, 1, num_seeds)
    theirs = stats.permutation_test(
        (d,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flip_p(d) == pytest.approx(theirs.pvalue)


def test_sign_flips_of_sleep_agree_with_every_pattern_counted_by_hand() -> None:
    wide = data("R_sleep_paired").pivot(index="ID", columns="group", values="extra")
    d = (wide["1"] - wide["2"]).to_numpy()
    count = sum(
        abs(sum(s * x for s, x in zip(signs, d, strict=True))) >= abs(d.sum()) - 1e-9
        for signs in itertools.product((1, -1), repeat=10)
    )
    assert sign_flip_p(d) == count / 1024
    assert sign_flip_p([2.0, 2.0, 2.0]) == 0.25  # 3 seeds can say no more


def test_many_seeds_are_flipped_by_a_fixed_draw() -> None:
    d = np.random.default_rng(1).normal(0.4, 1, 30)
    assert sign_flip_p(d) == sign_flip_p(d)
    assert sign_flip_p(d) == pytest.approx(stats.ttest_1samp(d, 0).pvalue, rel=0.15)
    assert sign_flip_p(d + 100) == pytest.approx(1e-5)  # never 0


def test_bca_is_scipy_s() -> None:
    # Sixty-fourths add without rounding: scipy takes a tie with a rounded digit for a difference.
    x = np.round(64 * np.random.default_rng(3).exponential(1, 9)) / 64
    theirs = stats.bootstrap(
        (x,), np.mean, n_resamples=9_999, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    assert bca_interval(x) == pytest.approx((theirs.low, theirs.high), rel=1e-12)
    theirs = stats.bootstrap(
        (x,), np.std, n_resamples=9_999, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    assert bca_interval(x, lambda v: v.std(axis=-1)) == pytest.approx(
        (theirs.low, theirs.high), rel=1e-2
    )


def test_five_seeds_are_resampled_in_all_ways() -> None:
    x = np.array([8, 30, 15, 70, 20]) / 64
    means = [np.mean(pick) for pick in itertools.product(x, repeat=5)]
    low, high = bca_interval(x)
    assert np.percentile(means, 0.5) < low < x.mean() < high < np.percentile(means, 99.9)
    many = stats.bootstrap(
        (x,), np.mean, n_resamples=200_000, method="BCa", rng=np.random.default_rng(5)
    ).confidence_interval
    assert (low, high) == pytest.approx((many.low, many.high), abs=0.01)


def test_differences_by_seed_are_the_means_over_the_other_cells() -> None:
    trials = made(lambda a, b, seed, r: 0.3 * a + seed + r.normal(0, 0.1), 6)
    found = by_seed(trials, "y", ["A", "B"], of="A", baseline=0).iloc[0]
    wide = trials.pivot_table(index="seed", columns="A", values="y")
    d = (wide[1] - wide[0]).to_numpy()
    assert found["difference"] == pytest.approx(d.mean())
    assert found["p"] == sign_flip_p(d) == 2 / 64 == found["smallest_p"]
    assert [found["ci_low"], found["ci_high"]] == pytest.approx(bca_interval(d))
    trials.loc[0, "status"] = "failed"  # A 0, B 0, seed 0: its pair goes with it
    found = by_seed(trials, "y", ["A", "B"], of="A", baseline=0).iloc[0]
    left = trials[(trials["seed"] == 0) & (trials["B"] > 0)].groupby("A")["y"].mean()
    assert found["difference"] == pytest.approx((d[1:].sum() + left[1] - left[0]) / 6)
    assert "both completed" in found["note"]


def test_few_seeds_get_what_they_can_carry() -> None:
    for num_seeds, p_known in ((1, False), (3, True)):
        trials = made(lambda a, b, seed, r: a + r.normal(0, 0.1), num_seeds)
        found = by_seed(trials, "y", ["A", "B"], of="A", baseline=0).iloc[0]
        assert np.isnan(found["ci_low"]) and "seed" in found["note"]
        assert (not np.isnan(found["p"])) == p_known
    trials.loc[trials["A"] == 1, "status"] = "failed"
    found = by_seed(trials, "y", ["A", "B"], of="A", baseline=0).iloc[0]
    assert np.isnan(found["difference"]) and "not estimable" in found["note"]
    with pytest.raises(AnalysisError, match="not among the factors"):
        by_seed(trials, "y", ["A"], of="B", baseline=0)
    with pytest.raises(AnalysisError, match="finite"):
        sign_flip_p([1.0, math.nan])
