"""Trends over budgets. Oracles: scipy's straight line with the textbook's prediction interval;
LAION's published tables, of which the largest runs were not fitted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from seedbed.analyze.stats.comparison import Estimate
from seedbed.analyze.stats.trend import crossing, fit_trend, judged, next_budget
from seedbed.analyze.trials.foreign import count_of

LAION = Path(__file__).parents[3] / "studies" / "published" / "laion.csv"


def test_a_difference_of_two_is_scipys_line_with_the_textbooks_prediction_interval() -> None:
    """However the two bend together."""
    budgets, values = [1e3, 3e3, 1e4, 3e4], np.array([0.10, 0.16, 0.19, 0.27])
    bent = np.array([0.1, 0.2, 0.9, 0.3])
    x = np.log(budgets)
    line = stats.linregress(x, values)
    trend = fit_trend({(0,): list(bent), (1,): list(bent + values)}, budgets)
    found = trend.at({(1,): 1.0, (0,): -1.0}, 1e5)
    at = math.log(1e5)
    assert found.estimate == pytest.approx(line.intercept + line.slope * at)
    rest = values - line.intercept - line.slope * x
    spread = float(rest @ rest) / 2
    error = math.sqrt(spread * (1 + 1 / 4 + (at - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum()))
    half = stats.t.ppf(0.975, 2) * error
    assert found.std_error == pytest.approx(error) and found.df == 2
    assert found.conf_high - found.conf_low == pytest.approx(2 * half)
    slope = trend.slope({(1,): 1.0, (0,): -1.0})
    assert (slope.estimate, slope.std_error) == pytest.approx((line.slope, line.stderr))


def test_slopes_add_so_that_two_budgets_of_several_factors_leave_an_error() -> None:
    cells = list(itertools.product(range(2), range(3)))
    means = {(a, b): [a + b, a + b + 1.0 + 0.5 * a + 0.25 * b] for a, b in cells}
    exact = fit_trend(means, [1.0, math.e])
    assert exact.df == 12 - 6 - 4
    assert exact.error_sq == pytest.approx(0, abs=1e-20)
    found = exact.at({(1, 2): 1.0, (0, 2): -1.0}, math.e**2)
    assert found.estimate == pytest.approx(1 + 2 * 0.5)


def test_a_level_with_one_budget_has_no_trend_and_takes_none_from_the_others() -> None:
    means = {(0,): [0.1, 0.2, 0.3], (1,): [0.2, 0.3, 0.45], (2,): [math.nan, 0.5, math.nan]}
    trend = fit_trend(means, [1.0, 2.0, 4.0])
    assert math.isnan(trend.at({(2,): 1.0, (0,): -1.0}, 8.0).estimate)
    assert trend.at({(1,): 1.0, (0,): -1.0}, 8.0).estimate == pytest.approx(0.1 + 0.05 / 3 + 0.05)


@pytest.mark.slow
def test_intervals_at_the_next_budget_hold_what_is_planted_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    budgets = [1.0, math.sqrt(10), 10.0]
    held = []
    for _ in range(1_000):
        noise = rng.normal(0, 0.01, (4, 4))
        true = [[0.2 + 0.1 * c + (0.05 - 0.02 * c) * math.log(b) for b in (*budgets, 31.6)]
                for c in range(4)]  # fmt: skip
        seen = np.array(true) + noise
        trend = fit_trend({(c,): list(seen[c, :3]) for c in range(4)}, budgets)
        one = trend.at({(1,): 1.0, (0,): -1.0}, 31.6)
        held.append(one.conf_low <= seen[1, 3] - seen[0, 3] <= one.conf_high)
    assert 0.93 <= np.mean(held) <= 0.97


def test_the_probability_of_a_crossing_is_that_of_two_signs() -> None:
    first, second = judged(1.0, 1.0, 1e6), judged(-2.0, 1.0, 1e6)
    rng = np.random.default_rng(1)
    draws = rng.normal([1.0, -2.0], 1.0, (200_000, 2))
    assert crossing(first, second) == pytest.approx(
        float((np.sign(draws[:, 0]) != np.sign(draws[:, 1])).mean()), abs=0.005
    )
    assert crossing(judged(0.0, 1.0, 9), second) == pytest.approx(0.5)
    assert math.isnan(crossing(judged(1.0, math.nan, 0), second))


def test_the_next_budget_is_as_far_again() -> None:
    assert next_budget([1_000, 10_000]) == pytest.approx(100_000)


@pytest.mark.parametrize(
    ("label", "count"), [("34B", 34e9), ("400M", 4e8), (3, 3.0), ("1.5k", 1_500), ("2e9", 2e9)]
)
def test_budgets_are_read_as_people_write_them(label: object, count: float) -> None:
    assert count_of(label, "samples") == count


def predicted(budget: str, levels: dict[str, Sequence[str]]) -> dict[str, list[bool]]:
    """Whether the intervals of effects at the largest `budget`, by a trend over the two others,
    hold what was measured there: averaged over the cells, and cell by cell."""
    table = pd.read_csv(LAION)
    value = {(r["model"], r["data"], r["samples"]): r["acc1"] for _, r in table.iterrows()}
    gmacs = dict(zip(table["model"], table["gmacs"], strict=True))
    numbers = [gmacs[one] if budget == "model" else count_of(one, budget) for one in levels[budget]]
    others = [name for name in levels if name != budget]

    def seen(cell: tuple[int, ...], place: int) -> float:
        labels = {n: levels[n][code] for n, code in zip(others, cell, strict=True)}
        labels[budget] = levels[budget][place]
        return float(value[labels["model"], labels["data"], labels["samples"]])

    cells = list(itertools.product(range(3), range(3)))
    trend = fit_trend({cell: [seen(cell, 0), seen(cell, 1)] for cell in cells}, numbers[:2])
    held: dict[str, list[bool]] = {"averaged": [], "cell by cell": []}
    for axis, level in itertools.product((0, 1), (1, 2)):
        base = [cell for cell in cells if cell[axis] == 0]
        pairs = [(tuple(level if n == axis else c for n, c in enumerate(b)), b) for b in base]
        for kind, some in (("averaged", [pairs]), ("cell by cell", [[pair] for pair in pairs])):
            for one in some:
                parts = {cell: sign / len(one) for pair in one
                         for cell, sign in zip(pair, (1.0, -1.0), strict=True)}  # fmt: skip
                ahead: Estimate = trend.at(parts, numbers[2])
                measured = sum(weight * seen(cell, 2) for cell, weight in parts.items())
                held[kind].append(ahead.conf_low <= measured <= ahead.conf_high)
    return held


def test_intervals_hold_what_laion_measured_at_its_largest_runs() -> None:
    levels = {
        "model": ("ViT-B-32", "ViT-B-16", "ViT-L-14"),
        "data": ("80M", "400M", "2B"),
        "samples": ("3B", "13B", "34B"),
    }
    held = {budget: predicted(budget, levels) for budget in levels}
    counts = {b: {kind: (sum(own), len(own)) for kind, own in h.items()} for b, h in held.items()}
    assert counts == {
        "samples": {"averaged": (4, 4), "cell by cell": (12, 12)},
        "data": {"averaged": (3, 4), "cell by cell": (9, 12)},
        "model": {"averaged": (4, 4), "cell by cell": (12, 12)},
    }  # 44 of 48, for intervals of 95 %: what more data gain bends most
