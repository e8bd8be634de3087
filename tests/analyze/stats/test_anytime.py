"""Intervals that hold at every look.

Oracles: scipy's noncentral t densities; the closed form of the shortest interval for a normal
statistic; and simulated studies with a fixed seed, of which the t interval misses far more than
chance could, and whose mean evidence without an effect is 1.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from tests.fixtures.looks import looked_at

from seedbed.analyze.stats.anytime import OneSize
from seedbed.analyze.stats.comparison import Estimate
from seedbed.analyze.stats.looked import Looked
from seedbed.study.looks import ANYTIME_VALID, Looks


def estimate(value: float, se: float, df: float) -> Estimate:
    return Estimate(value, se, df, value / se, math.nan, math.nan, math.nan, "")


@pytest.mark.parametrize(
    ("t", "df", "num_seeds", "size"),
    [(0.0, 4, 5, 1.0), (2.5, 10.4, 6, 0.7), (-4.0, 2, 3, 1.5), (3.0, 40, 9, 0.9)],
)
def test_the_evidence_is_the_ratio_of_noncentral_and_central_t_densities(
    t: float, df: float, num_seeds: int, size: float
) -> None:
    away = size * math.sqrt(num_seeds)
    densities = [float(stats.nct.pdf(t, df, side * away)) for side in (1, -1)]
    expected = math.log(sum(densities) / 2 / stats.t.pdf(t, df))
    assert float(OneSize(size).log_evidence(t, df, num_seeds)) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize("method", ANYTIME_VALID)
def test_at_the_end_of_the_interval_p_is_alpha(method: str, alpha: float) -> None:
    looked, measured = Looked(Looks(first=2, most=6, method=method), 4, 4), estimate(0.3, 0.2, 9)
    low, high = looked.interval(measured, 1 - alpha)
    assert low < 0.3 < high
    for end, side in ((low, "above"), (high, "below")):
        assert looked.p(measured, end) == pytest.approx(alpha, rel=1e-9)
        assert looked.p_against(measured, side, end) == pytest.approx(alpha, rel=1e-9)
    assert looked.p_against(measured, "below", low) == 1.0
    assert looked.p(estimate(0.0, 0.2, 9)) == 1.0
    assert looked.p(estimate(1e9, 1e-9, 9)) < alpha


@pytest.mark.parametrize(("alpha", "num_seeds"), [(0.05, 9), (0.01, 20)])
def test_the_size_is_the_one_with_the_shortest_interval(alpha: float, num_seeds: int) -> None:
    best, df = OneSize.shortest(num_seeds, alpha).size, 1e6
    widths = [
        float(OneSize(best * change).half_width(df, num_seeds, alpha)) for change in (0.9, 1, 1.1)
    ]
    assert min(widths) == widths[1]
    # Up to what the other side of the effect adds.
    assert widths[1] == pytest.approx(math.sqrt(2 * math.log(2 / alpha)), rel=1e-3)


def test_intervals_are_shorter_than_for_effects_of_every_size_but_for_the_last_seeds() -> None:
    most, num_cells = 12, 6
    for num_seeds in range(3, 11):
        widths = [
            Looked(Looks(3, 1, most, method=method), num_cells, num_seeds).half_width(
                (num_cells - 1) * (num_seeds - 1)
            )
            for method in ANYTIME_VALID
        ]
        assert widths[0] < widths[1]


def test_a_width_is_reached_with_intervals_that_are_the_shortest_at_the_most() -> None:
    by_claims, by_width = (
        Looked(Looks(3, 1, 12, until=until), 6, 12).half_width(55)
        for until in ("claims decided", 0.01)
    )
    assert by_width == pytest.approx(math.sqrt(2 * math.log(40)), rel=0.05)
    assert by_width < by_claims


def test_without_enough_degrees_of_freedom_or_an_error_there_is_no_end() -> None:
    assert OneSize(1.0).half_width(1, 2) == math.inf
    assert np.isnan(OneSize(1.0).half_width([math.nan, 9.0], 3)).tolist() == [True, False]
    assert np.isnan(Looked(Looks(), 6, 3).interval(estimate(1.0, math.nan, math.nan))).all()


def test_over_all_looks_together_five_percent_are_missed_at_most() -> None:
    most = 40
    t, df, looks = looked_at(5, num=4_000, most=most)
    for effect in (OneSize(0.5), OneSize.shortest(0.3 * most), OneSize.shortest(most)):
        missed = (t > effect.half_width(df, looks)).any(axis=1).mean()
        assert 0.01 < missed < 0.05
        # By the third seed the ratio has its mean of 1, and keeps it.
        assert np.exp(effect.log_evidence(t[:, :6], df[:6], looks[:6])).mean(axis=0) == (
            pytest.approx(np.ones(6), abs=0.15)
        )
