"""Timed steps. Oracle: the clock of a training of the same recipe, by the code that trains it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.run.worker.random_batches import ROWS, batch, cohort, recipe

from seedbed.plan.cost import estimate
from seedbed.recipe.resolve import Said, resolve
from seedbed.recipe.scale import SMOKE
from seedbed.run.worker.cohort import CohortTraining
from seedbed.run.worker.probe import MOST_FLOPS, random_columns, timed
from seedbed.variants import UNIFIED

pytestmark = pytest.mark.slow
CPU = torch.device("cpu")


def test_steps_take_what_they_take_in_training(home: object) -> None:
    members = cohort(recipe(layers=4))
    (trial,) = members.trials
    training = CohortTraining(members, CPU)
    for step in range(8):
        training.step(training.prepare(batch(members, step)))
    training.settle()
    clock = training.variants[trial.key].clock
    theirs = clock.cost_seconds / 8 / ROWS
    found = timed(trial, estimate(trial.recipe), CPU)
    assert (found.rows, found.steps) == (ROWS, 6)
    # Captions differ in length, and the machine is shared.
    assert 0.3 * theirs < found.seconds < 4 * theirs


def test_a_batch_that_a_core_would_take_minutes_for_is_timed_in_part(home: object) -> None:
    (trial,) = cohort(recipe()).trials
    cost = estimate(trial.recipe)
    heavy = replace(cost, train_flops=MOST_FLOPS * cost.samples / 4)
    assert timed(trial, heavy, CPU).rows == 4
    heavier = replace(cost, train_flops=100 * MOST_FLOPS * cost.samples)
    found = timed(trial, heavier, CPU)
    assert (found.rows, found.steps) == (2, 2) and found.seconds > 0


@pytest.mark.parametrize("name", sorted(UNIFIED))
def test_every_variant_has_the_columns_that_it_reads(name: str, home: object) -> None:
    small = recipe()
    objective = resolve(
        replace(small, objective=UNIFIED[name]["objective"]), SMOKE, [Said("the test", {})]
    ).objective
    (trial,) = cohort(replace(small, objective=objective)).trials
    columns = random_columns(trial.recipe, 8, 0)
    assert {view.name for view in objective.views} <= columns.keys()
    assert timed(trial, estimate(trial.recipe), CPU).seconds > 0
