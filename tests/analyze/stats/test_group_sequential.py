"""Looks that are planned: critical values, p values and intervals.

Oracles: the bounds that R's ldbounds prints for five equal looks (its vignette; two-sided 0.05) and
those of rpact for three (asOF and asP); simulated studies with a fixed seed, other ones than the
package's, whose t statistics are looked at when there are few seeds.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from seedbed.analyze.stats.comparison import Estimate
from seedbed.analyze.stats.group_sequential import (
    critical_values,
    limit_in_errors,
    spent,
    t_critical_values,
)
from seedbed.analyze.stats.looked import Looked
from seedbed.study.looks import OBRIEN_FLEMING, POCOCK, Looks


def estimate(value: float, se: float, df: float) -> Estimate:
    return Estimate(value, se, df, value / se, math.nan, math.nan, math.nan, "")


def equal(num: int) -> tuple[float, ...]:
    return tuple((look + 1) / num for look in range(num))


@pytest.mark.parametrize(
    ("num", "spending", "published"),
    [
        (5, OBRIEN_FLEMING, (4.8769, 3.3569, 2.6803, 2.2898, 2.0310)),
        (5, POCOCK, (2.4380, 2.4268, 2.4101, 2.3966, 2.3859)),
        (3, OBRIEN_FLEMING, (3.710, 2.511, 1.993)),
        (3, POCOCK, (2.279, 2.295, 2.296)),
    ],
)
def test_critical_values_are_the_published_ones(
    num: int, spending: str, published: tuple[float, ...]
) -> None:
    assert critical_values(equal(num), 0.05, spending) == pytest.approx(published, abs=6e-4)


@pytest.mark.parametrize("spending", [OBRIEN_FLEMING, POCOCK])
def test_all_of_alpha_is_spent_at_the_most_and_none_before(spending: str) -> None:
    assert spent([1e-9, 1.0], 0.05, spending) == pytest.approx([0, 0.05], abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("method", [OBRIEN_FLEMING, POCOCK])
@pytest.mark.parametrize("num_seeds", [4, 6])
def test_at_the_end_of_the_interval_p_is_alpha(method: str, num_seeds: int) -> None:
    looked = Looked(Looks(first=2, by=2, most=8, method=method), 6, num_seeds)
    measured = estimate(0.3, 0.2, 14)
    low, high = looked.interval(measured)
    assert low < 0.3 < high
    for end, side in ((low, "above"), (high, "below")):
        assert looked.p(measured, end) == pytest.approx(0.05, rel=2e-3)
        assert looked.p_against(measured, side, end) == pytest.approx(0.05, rel=2e-3)
    assert looked.p_against(measured, "below", low) == 1.0


def test_seeds_between_two_looks_are_judged_by_the_stricter() -> None:
    looks = Looks(first=4, by=4, most=12, method=OBRIEN_FLEMING)
    at = {seeds: Looked(looks, 6, seeds).half_width(1e9) for seeds in (3, 4, 5, 8, 12)}
    assert at[3] == at[4] == at[5] > at[8] > at[12] > 1.96


@pytest.mark.parametrize("method", [OBRIEN_FLEMING, POCOCK])
@pytest.mark.parametrize(("per_seed", "least"), [(1, 0.0465), (5, 0.036)])
@pytest.mark.slow
def test_over_all_looks_together_five_percent_are_missed(
    method: str, per_seed: int, least: float
) -> None:
    """With one value per seed; fewer where an error has more degrees of freedom. The standard error
    of the share is 0.0011; of quantiles that are not corrected the first kind misses 0.057."""
    num, looks = 40_000, Looks(first=3, by=1, most=8, method=method)
    values = np.random.default_rng(5).normal(size=(num, looks.most, per_seed))
    n = np.arange(1, looks.most + 1)
    means = values.cumsum(axis=1) / n[:, None]
    rest = ((values**2).cumsum(axis=1) - n[:, None] * means**2).sum(axis=2)
    own, df = np.array(looks.counts) - 1, per_seed * (np.array(looks.counts) - 1)
    t = np.abs(means[:, own, 0]) / np.sqrt(rest[:, own] / df / np.array(looks.counts))
    assert (t > stats.t.ppf(0.975, df)).any(axis=1).mean() > 0.1
    limits = limit_in_errors(np.array(t_critical_values(looks.counts, 0.05, method)), df)
    assert least < (t > limits).any(axis=1).mean() < 0.0535


def test_the_chance_of_a_decision_is_that_of_simulated_ends() -> None:
    """Of a claim above 0: the mean of the seeds that are left is drawn around the one so far."""
    looks = Looks(first=4, by=4, most=12, method=POCOCK)
    looked, df = Looked(looks, 2, 4), 1e7
    for t, alpha in ((1.0, 0.05), (2.0, 0.05), (0.2, 0.1)):
        random = np.random.default_rng(2)
        truth = t / 2 + random.normal(0, 1 / 2, 400_000)  # of 4 seeds with an SD of 1
        later = truth + random.normal(0, math.sqrt(1 / 8), len(truth))
        final = (4 * t / 2 + 8 * later) / 12
        limit = t_critical_values(looks.counts, alpha, POCOCK)[-1] / math.sqrt(12)
        expected = np.mean(np.abs(final) > limit)
        found = looked.chance(estimate(t / 2, 0.5, df), "above", 0.0, alpha)
        assert found == pytest.approx(expected, abs=0.004)
