"""Checkpoints: when, and what one between two points of a curve holds. Oracles: scipy's minimum
of the time that is lost, and a cohort that was never saved."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.optimize import minimize_scalar
from tests.run.worker.random_batches import STEPS, batch, cohort, recipe, trained
from tests.run.worker.test_release import saved

from seedbed.run.worker.cohort import CohortTraining
from seedbed.run.worker.interval import (
    FIRST_SECONDS,
    LEAST_SECONDS,
    MOST_SECONDS,
    NODE_SECONDS,
    Interval,
    best_interval,
)
from seedbed.run.worker.losses import taken_up

CPU = torch.device("cpu")


@pytest.mark.parametrize(("cost", "nodes"), [(0.05, 1), (2.0, 1), (2.0, 8), (30.0, 4)])
def test_the_interval_is_where_saving_and_losing_cost_the_least_together(
    cost: float, nodes: int
) -> None:
    def lost(seconds: float) -> float:
        """A share of the time: a checkpoint each interval, and half an interval each failure."""
        return cost / seconds + seconds / 2 / (NODE_SECONDS / nodes)

    best = minimize_scalar(lost, bounds=(1, 1e5), method="bounded", options={"xatol": 1e-6}).x
    assert best_interval(cost, nodes) == pytest.approx(best, rel=1e-3)


def test_the_interval_stays_within_bounds_and_a_given_one_is_kept() -> None:
    assert best_interval(0.0, 1) == LEAST_SECONDS
    assert best_interval(1e6, 1) == MOST_SECONDS
    own, given = Interval(None, 2, now=100.0), Interval(60.0, 2, now=100.0)
    for interval in (own, given):  # the first comes early: it shows what one costs
        assert not interval.is_due(100 + FIRST_SECONDS - 0.1)
        assert interval.is_due(100 + FIRST_SECONDS)
        interval.saved(105.0, 109.0)
    assert own.seconds == best_interval(4.0, 2)
    assert given.seconds == 60.0
    assert not given.is_due(168.9) and given.is_due(169.0)
    assert Interval(0.0, 1, now=1.0).is_due(1.0)


@pytest.mark.slow
def test_a_checkpoint_between_two_points_of_a_curve_changes_none_of_them() -> None:
    one, other = recipe(1), recipe(2)
    members = cohort(one, other)
    whole = trained(members, CPU)
    first = CohortTraining(members, CPU)
    for step in range(STEPS - 2):
        first.step(first.prepare(batch(members, step)))
    second = trained(members, CPU, start=STEPS - 2, state=saved(first))
    for key, variant in whole.variants.items():
        (point,) = variant.curve
        assert second.variants[key].curve == [point]
    assert second.order_hash == whole.order_hash


def test_losses_of_more_ranks_than_go_on_are_averaged_as_a_point_would() -> None:
    parts = [[{"loss": 1.5}, {"loss": 2.0}], [{"loss": 2.5}, {"loss": 4.0}]]
    assert [step["loss"].item() for step in taken_up(parts, 1, CPU)] == [2.0, 3.0]
    assert taken_up([[]], 1, CPU) == taken_up([[], []], 1, CPU) == []
    (step,) = taken_up([[{"loss": math.nan}]], 1, CPU)
    assert step["loss"].isnan() and step["loss"].dtype == torch.float32
