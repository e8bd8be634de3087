"""Chance and intervals of results. Oracles: counting all ways, repeated draws, statsmodels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from seedbed.evaluate.outcome import Outcome, wilson, wilson_of_groups, wilson_of_mean
from seedbed.evaluate.retrieval import found_by_chance
from seedbed.evaluate.scores import Scores


@pytest.mark.parametrize(("right", "n"), [(0, 7), (3, 10), (160, 168), (4_000, 10_000)])
def test_the_interval_of_a_share_is_wilson_s(right: int, n: int) -> None:
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    expected = proportion.proportion_confint(right, n, method="wilson")
    assert wilson(right / n, n) == pytest.approx(expected, abs=1e-12)


def test_the_mean_of_one_class_has_the_interval_of_a_share() -> None:
    assert wilson_of_mean([0.3], [50]) == pytest.approx(wilson(0.3, 50))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sizes", "least", "most"),
    [
        ([20] * 10, 0.05, 0.95),
        ([10, 20, 50, 100, 400], 0.05, 0.95),
        ([50] * 1_000, 0.02, 0.02),  # of most classes one picture is right, or none
        ([10] * 1_000, 0.1, 0.1),
        ([5] * 200, 0.1, 0.1),
        ([24] * 7, 0.9, 0.99),
    ],
)
def test_the_interval_of_a_mean_over_classes_holds_as_often_as_it_says(
    sizes: list[int], least: float, most: float
) -> None:
    rng = np.random.default_rng(0)
    truth = np.linspace(least, most, len(sizes))
    held = 0
    for _ in range(2_000):
        shares = rng.binomial(sizes, truth) / sizes
        low, high = wilson_of_mean(shares.tolist(), sizes)
        held += low <= truth.mean() <= high
    assert 0.925 < held / 2_000 < 0.98


@pytest.mark.slow
@pytest.mark.parametrize("together", [0.0, 1 / 3, 1.0])
def test_the_interval_over_captions_knows_which_are_of_one_picture(together: float) -> None:
    rng = np.random.default_rng(1)
    group, truth, held = np.repeat(np.arange(300), 5), 0.3, 0
    for _ in range(1_000):
        own, shared = rng.random(1_500) < truth, (rng.random(300) < truth)[group]
        right = np.where((rng.random(300) < together)[group], shared, own)
        low, high = wilson_of_groups(right, group)
        held += low <= truth <= high
    assert 0.93 < held / 1_000 < 0.97
    # Groups of one are plain queries.
    right = rng.random(400) < truth
    plain = wilson(float(right.mean()), 400)
    assert wilson_of_groups(right, np.arange(400)) == pytest.approx(plain, abs=1e-3)


@pytest.mark.parametrize(("partners", "num"), [([1, 1, 1], 3), ([2, 1, 3], 6), ([5], 5)])
def test_chance_of_a_picture_to_find_a_caption_counts_all_ways(
    partners: list[int], num: int
) -> None:
    for k in (1, 2, 5, 10):
        ways = list(itertools.combinations(range(num), min(k, num)))
        shares = [np.mean([min(way) < own for way in ways]) for own in partners]
        assert found_by_chance(k, partners, num) == pytest.approx(np.mean(shares))


def test_a_value_is_a_share_of_its_own_queries() -> None:
    scores = Scores(np.arange(4), {"rank": np.zeros(4, np.int64)})
    values, chance = {"text": 0.5, "image": 0.5}, {"text": 0.1, "image": 0.2}
    outcome = Outcome("m", "t", "retrieval", values, chance, scores, queries={"image": 20})
    told = outcome.to_json()
    assert told["n"] == 4 and told["n_of"] == {"text": 4, "image": 20}
    assert told["interval"]["text"] == wilson(0.5, 4)
    assert told["interval"]["image"] == wilson(0.5, 20)
