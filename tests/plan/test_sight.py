"""What a plan says it will see. Oracles: the errors that the analysis finds in tables of noise, and
statsmodels' power of the same tests."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.power import FTestAnovaPower, TTestPower

from seedbed.analyze.stats.fit import Fit
from seedbed.analyze.stats.means import crossed_contrasts, level_contrasts
from seedbed.analyze.trials.observations import observe
from seedbed.plan.cells import Cells, PlannedContrast
from seedbed.plan.design import PlannedFactor
from seedbed.plan.power import t_power
from seedbed.plan.sight import Sight, worst
from seedbed.study.cell import Cell

LEVELS: dict[str, tuple[int, ...]] = {"a": (0, 1, 2), "b": (0, 1), "c": (0, 1)}


def cells(error: str = "pooled", *, keep: Any = None, order: int = 2) -> Cells:
    grid = [Cell(zip(LEVELS, row, strict=True)) for row in itertools.product(*LEVELS.values())]
    factors = {
        name: PlannedFactor(name=name, levels=own, baseline=own[0]) for name, own in LEVELS.items()
    }
    return Cells(factors, [one for one in grid if keep is None or keep(one)], order, error)


def table(planned: Cells, num_seeds: int, seed: int) -> pd.DataFrame:
    """A table of noise of SD 1, with shifts of the seeds that must cancel."""
    rng = np.random.default_rng(seed)
    rows = [
        {**cell.to_json(), "seed": n, "y": 10.0 * n + rng.normal()}
        for n in range(num_seeds)
        for cell in planned.cells
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("keep", "num_seeds"),
    [(None, 2), (None, 4), (lambda cell: (cell["a"], cell["b"], cell["c"]) != (2, 1, 1), 3)],
    ids=["two seeds", "four seeds", "a cell left out"],
)
def test_errors_and_degrees_of_freedom_are_those_of_the_analysis(keep: Any, num_seeds: int) -> None:
    planned = cells(keep=keep)
    sight = Sight(planned, 1.0, num_seeds)
    fit = Fit(observe(table(planned, num_seeds, 0), "y", list(LEVELS), "seed"), 2, "pooled")
    sigma = math.sqrt(fit.error.mean_sq)
    theirs = {
        (one.term, one.words): one
        for name, levels in LEVELS.items()
        for one in level_contrasts(fit, name, levels[0])
    }
    for a, b in itertools.combinations(LEVELS, 2):
        theirs |= {(one.term, one.words): one for one in crossed_contrasts(fit.seen, a, b)[0]}
        # The first factor's effects at each level of the second.
        theirs |= {
            (f"{a} at one {b}", one.words): one for one in crossed_contrasts(fit.seen, a, b)[1]
        }
    simple = [one for one in planned.simple_effects() if one.term[0] < one.term[-1]]
    ours = [*planned.main_effects(), *planned.interactions(), *simple]
    assert {(one.term, one.words) for one in ours} == theirs.keys()
    for one in ours:
        found = theirs[one.term, one.words]
        assert sight.se(one) * sigma == pytest.approx(found.std_error, rel=1e-9)
        assert planned.df(one, num_seeds) == found.df


@pytest.mark.parametrize("error", ["pooled", "cells"])
@pytest.mark.slow
def test_halves_of_a_folded_fraction_are_blocks_as_in_the_analysis(error: str) -> None:
    whole, num_seeds = cells(error), 4
    halves = [1 + (min(cell["a"], 1) + cell["b"] + cell["c"]) % 2 for cell in whole.cells]
    planned = Cells(whole.factors, whole.cells, 2, error, halves=halves)
    found, plain = [], whole.df(whole.main_effects()[0], num_seeds)
    for seed in range(1 if error == "pooled" else 60):
        noise = table(planned, num_seeds, seed)
        noise["block"] = 10 * noise["seed"] + halves * num_seeds
        fit = Fit(observe(noise, "y", list(LEVELS), "block"), 2, error)
        found.append(level_contrasts(fit, "a", 0)[0])
    ours = planned.df(planned.main_effects()[0], num_seeds)
    assert float(np.mean([one.df for one in found])) == pytest.approx(
        ours, rel=1e-9 if error == "pooled" else 0.15
    )
    assert ours < plain
    if error == "pooled":
        sigma = math.sqrt(fit.error.mean_sq)
        se = Sight(planned, 1.0, num_seeds).se(planned.main_effects()[0])
        assert se * sigma == pytest.approx(found[0].std_error, rel=1e-9)


@pytest.mark.slow
def test_where_cells_vary_on_their_own_the_degrees_of_freedom_are_those_found_on_average() -> None:
    planned, num_seeds = cells("cells"), 3
    one = planned.main_effects()[0]
    found = []
    for seed in range(60):
        seen = observe(table(planned, num_seeds, seed), "y", list(LEVELS), "seed")
        found.append(level_contrasts(Fit(seen, 2, "cells"), "a", 0)[0].df)
    assert float(np.mean(found)) == pytest.approx(planned.df(one, num_seeds), rel=0.15)


def test_a_paired_comparison_of_two_cells_detects_what_statsmodels_says() -> None:
    factors = {"a": PlannedFactor(name="a", levels=(0, 1), baseline=0)}
    planned = Cells(factors, [Cell({"a": 0}), Cell({"a": 1})])
    (one,) = planned.main_effects()
    for seeds in (3, 5, 12):
        sight = Sight(planned, 0.5, seeds)
        # The difference of two trials has the variance of both.
        effect = sight.detectable(one) / (0.5 * math.sqrt(2))
        assert TTestPower().power(effect, seeds, 0.05) == pytest.approx(0.8, abs=1e-8)


def test_a_factor_of_two_levels_has_the_power_of_statsmodels_anova() -> None:
    planned = cells()
    one = next(one for one in planned.main_effects() if one.term == "b")
    # Its numbers of groups and trials, and their degrees of freedom: one way, no seeds to take out.
    num = 40
    df, se = 2 * num - 2, math.sqrt(2 / num)
    for difference in (0.2, 0.5, 0.9):
        theirs = FTestAnovaPower().power(difference / 2, 2 * num, 0.05, k_groups=2)
        assert t_power(difference, se, df) == pytest.approx(theirs, abs=1e-8)
    assert one.variance == pytest.approx(2 / 6)  # 6 cells at each level


def test_seeds_to_see_a_difference_are_the_fewest_that_do() -> None:
    planned = cells()
    for one, wanted in itertools.product(planned.main_effects(), (0.3, 1.0, 5.0)):
        sight = Sight(planned, 1.0, 2)
        seeds = sight.seeds_to_see(one, wanted)
        assert sight.detectable(one, seeds) <= wanted
        assert seeds == 2 or not sight.detectable(one, seeds - 1) <= wanted


def test_one_seed_and_what_cells_cannot_tell_apart_have_no_error() -> None:
    planned = cells()
    assert math.isnan(worst(Sight(planned, 1.0, 1), planned.main_effects()))
    # Cells in which b and c change together cannot tell the two apart.
    mixed = cells(keep=lambda cell: cell["b"] == cell["c"])
    found = {one.term: one.weights for one in mixed.main_effects()}
    assert found["a"] is not None and found["b"] is None
    sight = Sight(mixed, 1.0, 3)
    aliased = PlannedContrast("b", "", None)
    assert math.isnan(sight.detectable(aliased)) and sight.seeds_to_see(aliased, 1.0) == 0
    assert dataclasses.replace(sight, noise=2.0).noise == 2.0
