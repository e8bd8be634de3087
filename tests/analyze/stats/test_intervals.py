"""What intervals rest on: variances of the cells' own, and seeds that would have been others.

Oracles: scipy's Welch and paired t tests; Grubbs' estimators (1948, JASA 43:243) as he wrote them;
R's emmeans on lmer fits (oracles_of_means.json says how); dense formulas written apart from the
package (tests/benchmarks/simulated_studies.py); and simulated studies with fixed seeds, of which
the rules that were in use before miss far more than chance could.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from seedbed.analyze import AnalysisError, contrasts, marginal_means
from seedbed.analyze.stats.cell_variances import CellVariances
from seedbed.analyze.stats.comparison import Estimate
from seedbed.analyze.stats.fit import Fit
from seedbed.analyze.trials.observations import observe

HERE = Path(__file__).parent
MEANS = json.loads((HERE / "oracles_of_means.json").read_text())["oracles"]


@pytest.fixture(scope="module")
def simulated() -> ModuleType:
    path = HERE.parents[1] / "benchmarks" / "simulated_studies.py"
    spec = importlib.util.spec_from_file_location("simulated_studies", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["simulated_studies"] = module
    spec.loader.exec_module(module)
    return module


def complete(num_levels: int, num_seeds: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    shifts = random.normal(0, 10, num_seeds)
    rows = [
        (level, s, shifts[s] + random.normal(level, 1 + level))
        for level, s in itertools.product(range(num_levels), range(num_seeds))
    ]
    return pd.DataFrame(rows, columns=["A", "seed", "y"])


def test_cells_without_a_block_are_welch_s_test() -> None:
    random = np.random.default_rng(1)
    groups = [random.normal(0, 1, 7), random.normal(1, 4, 5)]
    trials = pd.DataFrame({"A": [0] * 7 + [1] * 5, "y": np.concatenate(groups)})
    found = contrasts(trials, "y", ["A"], of="A", baseline=0, error="cells").iloc[0]
    theirs = stats.ttest_ind(groups[1], groups[0], equal_var=False)
    assert [found["t"], found["df"], found["p"]] == pytest.approx(
        [theirs.statistic, theirs.df, theirs.pvalue], rel=1e-9
    )


def test_two_cells_within_seeds_are_the_paired_t_test() -> None:
    trials = complete(2, 6)
    found = contrasts(trials, "y", ["A"], of="A", baseline=0, block="seed", error="cells").iloc[0]
    first, second = (trials.loc[trials["A"] == level, "y"].to_numpy() for level in (0, 1))
    theirs = stats.ttest_rel(second, first)
    assert [found["t"], found["df"], found["p"]] == pytest.approx(
        [theirs.statistic, 5, theirs.pvalue], rel=1e-9
    )


def test_variances_of_cells_in_a_complete_table_are_grubbs_estimators() -> None:
    num_levels, num_seeds = 5, 7
    trials = complete(num_levels, num_seeds)
    table = trials.pivot(index="A", columns="seed", values="y").to_numpy()
    rest = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
    own = (rest**2).sum(axis=1)
    k, n = num_levels, num_seeds
    grubbs = (k * (k - 1) * own - own.sum()) / ((k - 1) * (k - 2) * (n - 1))
    found = Fit(observe(trials, "y", ["A"], "seed"), 2, "cells").unequal
    assert isinstance(found, CellVariances)
    assert grubbs.min() < 0 < grubbs.max()  # they may fall below 0: taken as 0
    assert found.variances == pytest.approx(np.maximum(grubbs, 0), rel=1e-9, abs=1e-12)


def estimate(fit: Fit, weights: np.ndarray, cells: list[tuple[int, int]], seeds: str) -> Estimate:
    """A function of the cells' means."""
    parts = [
        w * fit.cell_weights({"A": a, "B": b}) for w, (a, b) in zip(weights, cells, strict=True)
    ]
    return fit.estimate(np.sum(parts, axis=0), seeds=seeds)


@pytest.mark.parametrize("num_seeds", [3, 5])
@pytest.mark.parametrize("kind", ["pooled", "cells", "unequal"])
@pytest.mark.parametrize("lost", [0.0, 0.15])
@pytest.mark.slow
def test_every_rule_is_its_dense_formula_with_trials_lost_or_without(
    simulated: ModuleType, kind: str, num_seeds: int, lost: float
) -> None:
    studies = simulated.Studies(12, num_seeds, wide=4.0, spread=2.0, lost=lost, seed=num_seeds)
    rules: dict[str, tuple[Any, Any]] = {
        "pooled": (simulated.pooled, lambda s, own: simulated.random_seeds(s, own, "pooled")),
        "cells": (simulated.cells, simulated.random_seeds),
        "unequal": (simulated.by_seed, simulated.mean_by_seed),
    }
    of_effects, of_means = rules[kind]
    for effects, rule, seeds in (
        (simulated.EFFECTS, of_effects, "fixed"),
        (simulated.MEANS, of_means, "random"),
    ):
        spreads = {name: rule(studies, studies.loadings(w)) for name, w in effects.items()}
        for i in range(len(studies.y)):
            fit = Fit(observe(studies.table(i), "y", ["A", "B"], "seed"), 2, kind)
            for name, weights in effects.items():
                found = estimate(fit, weights, simulated.CELLS, seeds)
                variance, df = (part[i] for part in spreads[name])
                assert [found.std_error, found.df] == pytest.approx(
                    [math.sqrt(variance), df], rel=1e-6, nan_ok=True
                ), (name, i)


@pytest.mark.parametrize("num_seeds", [3, 5])
@pytest.mark.slow
def test_intervals_cover_when_one_cell_is_wider_and_trials_are_lost(
    simulated: ModuleType, num_seeds: int
) -> None:
    """2,000 studies with a fixed seed: three standard errors of the simulation are 1.5 %."""
    studies = simulated.Studies(2000, num_seeds, wide=4.0, seed=1)
    for effect in simulated.EFFECTS:
        cells, by_seed, pooled = (
            simulated.coverage(studies, effect, rule)
            for rule in (simulated.cells, simulated.by_seed, simulated.pooled)
        )
        assert cells[0] > 0.935 and pooled[0] < 0.93
        assert cells[1] < by_seed[1]  # and narrower than one value per seed
    assert pooled[0] < 0.8  # the last is a simple effect that holds the wide cell


@pytest.mark.parametrize("num_seeds", [3, 5])
@pytest.mark.slow
def test_intervals_are_narrower_than_by_seed_where_cells_are_alike(
    simulated: ModuleType, num_seeds: int
) -> None:
    studies = simulated.Studies(2000, num_seeds, seed=2)
    for effect in simulated.EFFECTS:
        cells, by_seed = (
            simulated.coverage(studies, effect, rule)
            for rule in (simulated.cells, simulated.by_seed)
        )
        # A simple effect is of two cells: of them the seeds' values tell as much.
        assert (
            cells[0] > 0.935 and cells[1] < (1.02 if effect == "A at one B" else 0.9) * by_seed[1]
        )
        assert cells[2] <= by_seed[2]  # and no interval fails where that has one


@pytest.mark.slow
@pytest.mark.parametrize(("spread", "most"), [(1, 0.9), (4, 0.55)])
@pytest.mark.parametrize("num_seeds", [3, 5])
def test_intervals_of_means_hold_what_other_seeds_would_give(
    simulated: ModuleType, num_seeds: int, spread: int, most: float
) -> None:
    """The old ones, of these very seeds, cover 75 and 87 % at equal spreads, 25 to 44 % at four."""
    for wide in (1.0, 4.0):
        studies = simulated.Studies(2000, num_seeds, wide=wide, spread=spread, seed=3)
        for mean in simulated.MEANS:
            found = simulated.coverage(studies, mean, simulated.random_seeds)
            assert found[0] > 0.93 and found[2] == 0
            assert simulated.coverage(studies, mean, simulated.pooled)[0] < most


@pytest.mark.parametrize("name", list(MEANS))
def test_means_over_random_seeds_are_emmeans_of_the_lmer_fit(name: str) -> None:
    oracle = MEANS[name]
    trials = pd.DataFrame(oracle["rows"], columns=oracle["columns"])
    options = {"block": oracle["block"], "seeds": "random"}
    for of in oracle["expected"]:
        found = marginal_means(trials, oracle["response"], oracle["factors"], of["at"], **options)
        for level, *numbers in of["rows"]:
            own = tuple(level) if isinstance(level, list) else level
            row = found[found["level"] == own].iloc[0]
            got = row[["mean", "se", "df", "ci_low", "ci_high"]]
            # lmer finds the variances by iteration: to about nine digits.
            assert list(got) == pytest.approx(numbers, rel=2e-8)
            assert row["note"] == ""


def test_means_keep_the_blocks_fixed_unless_asked() -> None:
    trials = complete(3, 5)
    fixed = marginal_means(trials, "y", ["A"], "A", block="seed")
    pd.testing.assert_frame_equal(
        fixed, marginal_means(trials, "y", ["A"], "A", block="seed", seeds="fixed")
    )
    other = marginal_means(trials, "y", ["A"], "A", block="seed", seeds="random")
    assert list(other["mean"]) == pytest.approx(list(fixed["mean"]))
    assert (other["se"] > 1.2 * fixed["se"]).all()  # the seeds spread more than the noise


def test_means_by_seed_in_a_complete_table_are_the_t_interval_of_the_seeds_values() -> None:
    trials = complete(3, 5)
    found = marginal_means(
        trials, "y", ["A"], "A", block="seed", seeds="random", error="unequal"
    ).iloc[1]
    own = trials.loc[trials["A"] == 1, "y"]
    low, high = stats.t.interval(0.95, 4, own.mean(), stats.sem(own))
    assert [found["ci_low"], found["ci_high"]] == pytest.approx([low, high], rel=1e-9)


def test_seeds_are_fixed_or_random_and_random_ones_are_named() -> None:
    trials = complete(2, 3)
    with pytest.raises(AnalysisError, match="'randm'") as error:
        marginal_means(trials, "y", ["A"], "A", block="seed", seeds="randm")
    assert "random" in error.value.mend
    with pytest.raises(AnalysisError, match="no block names the seeds"):
        marginal_means(trials, "y", ["A"], "A", seeds="random")


def test_one_seed_and_two_have_no_interval_of_their_own() -> None:
    for num_seeds, said in ((1, "one seed"), (2, "two seeds")):
        trials = complete(3, num_seeds)
        found = contrasts(trials, "y", ["A"], of="A", baseline=0, block="seed", error="cells")
        assert found["ci_low"].isna().all() and found["note"].str.contains(said).all()
    # Enough trials to pool over, but no variance of a cell's own in two seeds.
    found = contrasts(complete(9, 2), "y", ["A"], of="A", baseline=0, block="seed", error="cells")
    assert found["ci_low"].isna().all() and found["note"].str.contains("3 needed").all()


def test_a_cell_with_one_trial_is_taken_to_vary_as_the_widest() -> None:
    trials = complete(4, 5)
    lone = trials[(trials["A"] != 1) | (trials["seed"] == 2)]
    fit = Fit(observe(lone, "y", ["A"], "seed"), 2, "cells")
    cells = fit.unequal
    assert isinstance(cells, CellVariances)
    loadings = fit.loadings(fit.cell_weights({"A": 1}) - fit.cell_weights({"A": 0}))
    assert loadings is not None
    per_cell = np.bincount(fit.seen.cell_numbers, weights=loadings**2)
    widest = int(np.argmax(cells.variances))
    expected = per_cell.copy()
    expected[widest] += per_cell[1]
    expected[1] = 0
    assert cells.weights(loadings) == pytest.approx(expected)
    found = fit.estimate(fit.cell_weights({"A": 1}) - fit.cell_weights({"A": 0}))
    assert found.std_error == pytest.approx(math.sqrt(float(expected @ cells.variances)))


@pytest.mark.slow
def test_ten_thousand_trials_take_no_square_of_their_number() -> None:
    """A dense residual projection of 12,000 trials would be 1.2 GB; this peaks far below it."""
    import tracemalloc

    random = np.random.default_rng(0)
    rows = list(itertools.product(range(20), range(20), range(30)))
    trials = pd.DataFrame(rows, columns=["A", "B", "seed"])
    trials["y"] = random.normal(size=len(trials))
    tracemalloc.start()
    found = contrasts(
        trials, "y", ["A", "B"], of="A", baseline=0, block="seed", error="cells", order=1
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found["ci_low"].notna().all() and peak < 3e8
