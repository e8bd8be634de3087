"""Intervals that hold at every look.

Oracles: the mixture itself, integrated over scipy's noncentral t; the form of the authors' R
package avlm (`log_bf` of R/bayes_factors.R, of n observations, p nuisance parameters and the
precision phi) on numbers that it is given here; and simulated studies with a fixed seed, of which
the t interval misses far more than chance could.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from seedbed.analyze.stats.anytime import (
    anytime_interval,
    anytime_p,
    anytime_p_against,
    half_width,
    log_evidence,
    prior_seeds,
)
from seedbed.analyze.stats.comparison import Estimate


def estimate(value: float, se: float, df: float) -> Estimate:
    return Estimate(value, se, df, value / se, math.nan, math.nan, math.nan, "")


@pytest.mark.parametrize(
    ("t", "df", "num_seeds", "prior"), [(0.0, 4, 5, 1.0), (2.5, 10, 6, 0.7), (-4.0, 2, 3, 3.0)]
)
def test_the_evidence_is_the_mixture_of_noncentral_t_densities(
    t: float, df: int, num_seeds: int, prior: float
) -> None:
    def weighed(effect: float) -> float:
        density = stats.nct.pdf(t, df, effect * math.sqrt(num_seeds))
        return float(density * stats.norm.pdf(effect, scale=1 / math.sqrt(prior)))

    mixed, _ = integrate.quad(weighed, -8, 8, limit=200)
    expected = math.log(mixed / stats.t.pdf(t, df))
    assert float(log_evidence(t, df, num_seeds, prior)) == pytest.approx(expected, abs=1e-6)


def test_the_evidence_is_that_of_the_authors_package() -> None:
    n, p, phi, z2, t2 = 20, 3, 2.0, 20.0, 7.0
    theirs = 0.5 * math.log(phi / (phi + z2)) + 0.5 * (n - p) * (
        math.log(1 + t2 / (n - p - 1)) - math.log(1 + phi * t2 / ((n - p - 1) * (phi + z2)))
    )
    found = log_evidence(math.sqrt(t2), n - p - 1, z2, phi)
    assert float(found) == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_at_the_end_of_the_interval_p_is_alpha(alpha: float) -> None:
    measured = estimate(0.3, 0.2, 9)
    low, high = anytime_interval(measured, 4, 0.8, 1 - alpha)
    assert low < 0.3 < high
    for end, side in ((low, "above"), (high, "below")):
        assert anytime_p(measured, 4, 0.8, end) == pytest.approx(alpha, rel=1e-9)
        assert anytime_p_against(measured, 4, 0.8, side, end) == pytest.approx(alpha, rel=1e-9)
    other = anytime_p_against(measured, 4, 0.8, "below", low)
    assert other == 1.0


def test_the_prior_is_the_one_with_the_shortest_interval() -> None:
    best = prior_seeds(12, 44)
    widths = [float(half_width(44, 12, best * change)) for change in (0.9, 1.0, 1.1)]
    assert min(widths) == widths[1]
    # Longer than the interval of one look, and no more than twice as long.
    assert stats.t.ppf(0.975, 44) < widths[1] < 2 * stats.t.ppf(0.975, 44)


def test_too_few_degrees_of_freedom_give_no_end_to_the_interval() -> None:
    assert half_width(1, 2, 1.0) == math.inf
    assert anytime_interval(estimate(1.0, math.nan, math.nan), 3, 1.0) == pytest.approx(
        (math.nan, math.nan), nan_ok=True
    )


def test_over_all_looks_together_five_percent_are_missed_at_most() -> None:
    num, most = 4_000, 40
    values = np.random.default_rng(5).normal(size=(num, most))
    n = np.arange(1, most + 1)
    means = values.cumsum(axis=1) / n
    squares = (values**2).cumsum(axis=1) - n * means**2
    t = np.abs(means[:, 2:]) / np.sqrt(squares[:, 2:] / (n - 1)[2:] / n[2:])
    looks, df = n[2:], n[2:] - 1
    # The t interval of one look misses about five times as often; so would one with a wrong root.
    assert (t > stats.t.ppf(0.975, df)).any(axis=1).mean() > 0.2
    for prior in (0.1, prior_seeds(most, most - 1)):
        missed = (t > half_width(df, looks, prior)).any(axis=1).mean()
        assert 0.01 < missed < 0.05
