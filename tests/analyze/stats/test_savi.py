"""Intervals that hold at every look, for effects of every size.

Oracles: the mixture itself, integrated over scipy's noncentral t; the form of the authors' R
package avlm (`log_bf` of R/bayes_factors.R, of n observations, p nuisance parameters and the
precision phi) on numbers that it is given here; and simulated studies with a fixed seed, of which
the t interval misses far more than chance could.
"""

from __future__ import annotations

import math

import pytest
from scipy import integrate, stats
from tests.fixtures.looks import looked_at

from seedbed.analyze.stats.savi import NormalEffect


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
    found = NormalEffect(prior).log_evidence(t, df, num_seeds)
    assert float(found) == pytest.approx(expected, abs=1e-6)


def test_the_evidence_is_that_of_the_authors_package() -> None:
    n, p, phi, z2, t2 = 20, 3, 2.0, 20.0, 7.0
    theirs = 0.5 * math.log(phi / (phi + z2)) + 0.5 * (n - p) * (
        math.log(1 + t2 / (n - p - 1)) - math.log(1 + phi * t2 / ((n - p - 1) * (phi + z2)))
    )
    found = NormalEffect(phi).log_evidence(math.sqrt(t2), n - p - 1, z2)
    assert float(found) == pytest.approx(theirs, rel=1e-12)


def test_the_prior_is_the_one_with_the_shortest_interval() -> None:
    best = NormalEffect.shortest(12, 44).prior
    widths = [float(NormalEffect(best * change).half_width(44, 12)) for change in (0.9, 1.0, 1.1)]
    assert min(widths) == widths[1]
    # Longer than the interval of one look, and no more than twice as long.
    assert stats.t.ppf(0.975, 44) < widths[1] < 2 * stats.t.ppf(0.975, 44)


def test_too_few_degrees_of_freedom_give_no_end_to_the_interval() -> None:
    assert NormalEffect(1.0).half_width(1, 2) == math.inf


def test_over_all_looks_together_five_percent_are_missed_at_most() -> None:
    most = 40
    t, df, looks = looked_at(5, num=4_000, most=most)
    for effect in (NormalEffect(0.1), NormalEffect.shortest(most, most - 1)):
        missed = (t > effect.half_width(df, looks)).any(axis=1).mean()
        assert 0.01 < missed < 0.05
