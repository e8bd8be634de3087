"""Effect sizes with intervals. Oracle: R 4.2.2's effectsize, in oracles.json."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from seedbed.analyze import AnalysisError
from seedbed.analyze.stats.effect_sizes import hedges_g, partial_eta_sq, partial_omega_sq

ORACLES = json.loads((Path(__file__).parent / "oracles.json").read_text())["oracles"]
TOOTH = ORACLES["R_ToothGrowth"]["expected"]
SLEEP = ORACLES["R_sleep_paired"]["expected"]
# ToothGrowth's F statistics and degrees of freedom (car::Anova); 54 for the error, 60 animals.
F = {"supp": (15.571979, 1), "dose": (91.999965, 2), "supp:dose": (4.106991, 2)}


def rows(name: str) -> dict[str, list[float]]:
    return {row[0]: [row[1], row[3], row[4]] for row in TOOTH[name]["rows"]}


@pytest.mark.parametrize("term", list(F))
def test_shares_of_variance_are_r_s(term: str) -> None:
    f, df = F[term]
    eta = partial_eta_sq(f, df, 54)
    assert [eta.value, eta.ci_low, eta.ci_high] == pytest.approx(
        rows("partial_eta_squared")[term], abs=2e-7
    )
    omega = partial_omega_sq(f, df, 54, 60)
    assert [omega.value, omega.ci_low, omega.ci_high] == pytest.approx(
        rows("partial_omega_squared")[term], abs=2e-7
    )


def test_hedges_g_is_r_s_for_pairs_and_for_groups() -> None:
    pairs = hedges_g(SLEEP["paired_t"]["t"], 9, 1 / math.sqrt(10))
    expected = [SLEEP["hedges_g_paired"]["rows"][0][i] for i in (0, 2, 3)]
    assert [pairs.value, pairs.ci_low, pairs.ci_high] == pytest.approx(expected, abs=2e-6)
    groups = hedges_g(SLEEP["welch_t"]["t"], 18, math.sqrt(0.2))  # equal sizes: Welch's t is pooled
    expected = [SLEEP["hedges_g_independent"]["rows"][0][i] for i in (0, 2, 3)]
    assert [groups.value, groups.ci_low, groups.ci_high] == pytest.approx(expected, abs=2e-6)


@pytest.mark.slow
def test_the_interval_of_g_holds_the_truth_and_its_mean_is_unbiased() -> None:
    random, truth, n = np.random.default_rng(0), 0.8, 6
    held, values = [], []
    for _ in range(300):
        d = random.normal(truth, 1, n)
        found = hedges_g(float(stats.ttest_1samp(d, 0).statistic), n - 1, 1 / math.sqrt(n))
        # Unbiased is the value: the interval is of the same quantity, scaled as it is.
        shrunk = found.value / (d.mean() / d.std(ddof=1))
        held.append(found.ci_low <= truth * shrunk <= found.ci_high)
        values.append(found.value)
    assert np.mean(held) == pytest.approx(0.95, abs=0.04)
    assert np.mean(values) == pytest.approx(truth, abs=4 * np.std(values) / math.sqrt(300))


def test_what_cannot_be_computed_is_nan_and_what_is_wrong_is_refused() -> None:
    assert math.isnan(partial_eta_sq(math.nan, 1, 10).value)
    assert math.isnan(partial_eta_sq(3.0, 1, 0).ci_low)
    assert math.isnan(hedges_g(math.nan, 5, 1.0).value)
    assert partial_omega_sq(0.3, 1, 20, 30).value == 0
    with pytest.raises(AnalysisError, match="scale is -1"):
        hedges_g(1.0, 5, -1)


@pytest.mark.parametrize("t", [-1104.3278823336152, 1104.3278823336152])
def test_a_difference_far_beyond_its_noise_has_an_interval(t: float) -> None:
    """One degree of freedom and a t beyond scipy's series: t is normal over chi, by simulation."""
    found = hedges_g(t, 1, 1.0)
    random = np.random.default_rng(0)
    chi = np.abs(random.normal(size=400_000))
    for end, share in ((found.ci_low, 0.975), (found.ci_high, 0.025)):
        drawn = (random.normal(size=chi.size) + end) / chi
        assert np.mean(drawn < t) == pytest.approx(share, abs=0.002)
