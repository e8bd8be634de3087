"""What a trial costs, whatever number of ranks it goes on with. Oracle: the same, uninterrupted."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from tests.fixtures.ranks import OnRanks
from tests.run.worker.random_batches import STEPS, cohort, recipe
from tests.run.worker.test_ranks import step

WHOLE = 2.0  # core seconds of a step, in equal parts


def trained(rank: int, world: int, start: int, stop: int, state: Any) -> tuple[float, Any]:
    """Core seconds of all ranks after steps `start` to `stop`, and what a checkpoint keeps."""
    from seedbed.model.gather import sum_over_ranks
    from seedbed.run.worker import clock
    from seedbed.run.worker.cohort import CohortTraining
    from seedbed.run.worker.mesh import Mesh

    add, part = clock.StepClock._add, WHOLE / world
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            clock.StepClock,
            "_add",
            lambda self, *_, startup: add(self, part, part, startup=startup),
        )
        mesh = Mesh(rank, world, world)
        training = CohortTraining(cohort(recipe()), torch.device("cpu"))
        if state is not None:
            training.load_state_dict(state)
        for number in range(start, stop):
            step(training, mesh, number % STEPS, frozenset())
        (variant,) = training.variants.values()
        kept = copy.deepcopy(training.state_dict())
        cost = torch.tensor(variant.clock.cost_seconds, dtype=torch.float64)
        return float(sum_over_ranks(cost)), kept


@pytest.mark.parametrize(("first", "then"), [(2, 1), (1, 2), (2, 2)])
def test_a_trial_costs_the_same_whoever_goes_on_with_it(
    on_ranks: OnRanks, first: int, then: int
) -> None:
    _, kept = on_ranks(first, trained, 0, 3, None)[0]
    cost, _ = on_ranks(then, trained, 3, 6, kept)[0]
    assert cost == pytest.approx(6 * WHOLE)
