"""Tables in which every block has every cell once. Oracles: scipy's t test of one value a block,
and what is found where blocks are taken one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from seedbed.analyze.stats.complete_blocks import CompleteBlocks
from seedbed.analyze.stats.fit import Fit
from seedbed.analyze.stats.means import level_contrasts
from seedbed.analyze.stats.standard_errors import UnequalVariances
from seedbed.analyze.trials.observations import observe

LEVELS, SEEDS = {"A": 3, "B": 4}, 5


def table(seed: int = 0) -> pd.DataFrame:
    """Cells that vary by as much as they like, in an order of their own."""
    random = np.random.default_rng(seed)
    rows = [
        (a, b, s, 10 * s + a + random.normal(0, 1 + a * b))
        for a, b, s in itertools.product(range(LEVELS["A"]), range(LEVELS["B"]), range(SEEDS))
    ]
    frame = pd.DataFrame(rows, columns=["A", "B", "seed", "y"])
    return frame.sample(frac=1, random_state=seed).reset_index(drop=True)


def fitted(trials: pd.DataFrame, order: int, kind: str) -> Fit:
    return Fit(observe(trials, "y", list(LEVELS), "seed"), order, kind)


@pytest.mark.parametrize("order", [1, 2])
def test_a_difference_has_the_error_of_one_value_a_block(order: int) -> None:
    trials = table()
    found = level_contrasts(fitted(trials, order, "unequal"), "A", 0)[1]
    values = trials.pivot_table(index="seed", columns="A", values="y")
    theirs = stats.ttest_1samp(values[2] - values[0], 0)
    assert [found.statistic, found.df, found.p_value] == pytest.approx(
        [theirs.statistic, SEEDS - 1, theirs.pvalue], rel=1e-9
    )


@pytest.mark.parametrize("order", [1, 2])
def test_all_blocks_together_are_what_they_are_one_by_one(order: int) -> None:
    fit = fitted(table(), order, "cells")
    together, single = (UnequalVariances(fit.seen, fit.basis, fit.residuals) for _ in range(2))
    assert together._complete is not None
    single.__dict__["_complete"] = None
    random = np.random.default_rng(3)
    for _ in range(5):
        within = fit.basis @ random.normal(size=fit.basis.shape[1])
        ours, theirs = together.of(within), single.of(within)
        assert [ours.se, ours.df] == pytest.approx([theirs.se, theirs.df], rel=1e-10)


def test_a_trial_that_is_lost_or_twice_there_leaves_no_complete_table() -> None:
    trials = table()
    twice = pd.concat([trials.drop(index=0), trials.loc[[1]]], ignore_index=True)
    for others in (trials.drop(index=0), twice):
        seen = observe(others.assign(key=range(len(others))), "y", list(LEVELS), "seed")
        fit = Fit(seen, 2, "cells")
        assert CompleteBlocks.of(fit.seen, fit.basis) is None


@pytest.mark.parametrize("lost", [0, 7])
@pytest.mark.parametrize("block", [None, "seed"])
def test_weights_of_trials_by_cells_and_blocks_are_those_by_trial(
    block: str | None, lost: int
) -> None:
    seen = observe(table().iloc[lost:], "y", list(LEVELS), block)
    fit = Fit(seen, 2, "cells")
    scaled = np.random.default_rng(0).normal(size=fit.basis.shape[1])
    assert fit._loadings(scaled) == pytest.approx(fit.basis @ scaled, abs=1e-12)
