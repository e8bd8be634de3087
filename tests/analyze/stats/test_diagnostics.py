"""Checks of the model, and Box-Cox.

Oracles: R 4.2.2's leveneTest and shapiro.test in oracles.json; statsmodels' OLSInfluence; scipy's
boxcox_llf; planted faults.
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

from seedbed.analyze.stats.boxcox import box_cox, profile
from seedbed.analyze.stats.diagnostics import diagnose
from seedbed.analyze.stats.fit import Fit
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
    assert "Add runs of each cell" in found.remedies[-1]  # they share no seed
    found = diagnose(heavy, "y", ["A", "B"], block="seed")
    assert "intervals by seed" in found.remedies[-1]


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
