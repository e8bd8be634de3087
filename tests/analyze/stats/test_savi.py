"""Intervals that hold at every look, for effects of every size.

Oracles: the mixture itself, integrated over scipy's noncentral t; the form of the authors' R
package avlm (`log_bf` of R/bayes_factors.R, of n observations, p nuisance parameters and the
precision phi) on numbers that it is given here; what pyfixest's own functions return, and what its
tests hold against avlm, both of its repository (its last release, 0.60.0, has neither); and
simulated studies with a fixed seed, of which the t interval misses far more than chance could.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
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


# t, degrees of freedom, seeds and prior; the e value, and the radius at alpha 0.05 and 0.01, of
# `_savi_e_value` and `_savi_confidence_radius` (pyfixest/estimation/post_estimation/savi.py at
# 1d35d9bb).
PYFIXEST = [
    ((2.5, 10, 12, 1.0), 3.094278933377385, 3.7596301181404996, 4.971167901538294),
    ((-4.0, 5, 6, 0.4), 10.71875, 4.758351813047715, 7.682357936874371),
    ((0.3, 44, 48, 8.0), 0.3931543222171762, 3.1986015014655043, 3.892733036741774),
    ((7.0, 2, 3, 2.5), 2.0533645475723104, math.inf, math.inf),
]


@pytest.mark.parametrize(("given", "e_value", "at_5", "at_1"), PYFIXEST)
def test_evidence_and_intervals_are_those_of_pyfixest(
    given: tuple[float, ...], e_value: float, at_5: float, at_1: float
) -> None:
    t, df, num_seeds, prior = given
    effect = NormalEffect(prior)
    assert math.exp(effect.log_evidence(t, df, num_seeds)) == pytest.approx(e_value, rel=1e-12)
    assert float(effect.half_width(df, num_seeds)) == pytest.approx(at_5, rel=1e-12)
    assert float(effect.half_width(df, num_seeds, 0.01)) == pytest.approx(at_1, rel=1e-12)


@pytest.mark.parametrize(
    ("num_seeds", "df", "alpha", "prior"),
    [(100, 97, 0.05, 11.61158319474894), (48, 44, 0.05, 5.261884500843698),
     (400, 398, 0.01, 33.482551167411344)],
)  # fmt: skip
def test_the_shortest_interval_is_where_pyfixest_finds_it(
    num_seeds: int, df: int, alpha: float, prior: float
) -> None:
    """Its `optimal_mixture_precision` of as many observations and num_seeds - df coefficients."""
    assert NormalEffect.shortest(num_seeds, df, alpha).prior == pytest.approx(prior, rel=1e-5)


def test_a_regression_is_judged_as_pyfixest_and_avlm_judge_it() -> None:
    """Longley's data, an iid error, a prior worth 2.5 observations: the p values and the ends of
    the intervals that pyfixest's tests/test_savi.py (at 01251b8a) has from avlm."""
    data = sm.datasets.longley.load_pandas().data
    columns = sm.add_constant(data[["GNP", "UNEMP"]] / [1000, 10])
    fit, effect = sm.OLS(data["TOTEMP"] / 1000, columns).fit(), NormalEffect(2.5)
    log_evidence = effect.log_evidence(fit.tvalues, fit.df_resid, len(data))
    assert np.minimum(1, np.exp(-log_evidence)) == pytest.approx(
        [2.3994985366968640e-06, 6.5452796798514853e-06, 1.3043518743909294e-01], rel=1e-7
    )
    half = fit.bse * float(effect.half_width(fit.df_resid, len(data)))
    lower = [50.301901821972919038, 0.031635798521018964, -0.012035233090925803]
    upper = [54.4624322783199232845, 0.0440448555138813133, 0.0011637464493843685]
    assert list(fit.params - half) == pytest.approx(lower, rel=1e-9)
    assert list(fit.params + half) == pytest.approx(upper, rel=1e-9)


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
