"""Memory that ended variants give back. Oracle: the neighbours alone, and uninterrupted."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from tests.run.worker.random_batches import (
    ROWS,
    batch,
    cohort,
    recipe,
    trained,
    trained_beside_a_greedy_one,
    weights,
)

from seedbed.run.worker.cohort import CohortTraining

CPU = torch.device("cpu")


def saved(training: CohortTraining) -> dict[str, Any]:
    """Its checkpoint, written and read."""
    held = io.BytesIO()
    torch.save(training.state_dict(), held)
    held.seek(0)
    state: dict[str, Any] = torch.load(held, weights_only=True)
    return state


def equal(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in theirs)


@pytest.mark.slow
def test_a_variant_that_asks_for_more_memory_than_there_is_ends_alone_and_gives_its_own_back() -> (
    None
):
    greedy, sound = recipe(1), recipe(2)
    training = trained_beside_a_greedy_one(
        greedy,
        sound,
        CPU,
        lambda: torch.empty(1 << 60, dtype=torch.uint8),  # an exbibyte
    )
    sick = training.variants[greedy.key()]
    assert sick.status == "failed"
    assert "at step 3" in sick.reason and "memory" in sick.reason
    assert not sick.optimizer.state
    assert all(p.grad is None for p in sick.model.parameters())
    assert len(sick.curve) == 1 and sick.curve[0]["samples"] == 2 * ROWS
    assert training.sound == [sound.key()]
    assert equal(weights(training, sound), weights(trained(cohort(sound), CPU), sound))


def test_one_that_several_ranks_train_is_raised_with_what_would_fit() -> None:
    """They wait for this one in a collective: it cannot end here alone."""
    members = cohort(recipe(1))
    training = CohortTraining(members, CPU)
    (variant,) = training.variants.values()

    def allocate(*_: object) -> None:
        torch.empty(1 << 60, dtype=torch.uint8)

    variant.model.register_forward_pre_hook(allocate)
    shared = training.prepare(batch(members, 0), lambda numbers: [numbers, numbers])
    with pytest.raises(torch.OutOfMemoryError, match="is out of memory at step 1; what would fit"):
        training.step(shared)
    assert variant.status == "running"


def test_any_error_of_a_variant_ends_it_alone() -> None:
    odd, sound = recipe(1), recipe(2)
    members = cohort(odd, sound)
    training = CohortTraining(members, CPU)

    def fail(*_: object) -> None:
        raise KeyError("a term of one's own")

    training.variants[odd.key()].model.register_forward_pre_hook(fail)
    training.step(training.prepare(batch(members, 0)))
    assert training.variants[odd.key()].reason.startswith("KeyError at step 1")
    assert training.variants[sound.key()].status == "running"


@pytest.mark.slow
def test_a_checkpoint_of_a_cohort_in_which_one_was_released_goes_on_bit_for_bit() -> None:
    ended, other = recipe(1), recipe(2)
    members = cohort(ended, other)
    whole = trained(members, CPU)
    first = CohortTraining(members, CPU)
    for step in range(3):
        first.step(first.prepare(batch(members, step)))
    first.collect()
    first.variants[ended.key()].diverge("the test says so")
    first.variants[ended.key()].release()
    state = saved(first)
    assert not state["variants"][ended.key()]["optimizer"]["state"]
    second = trained(members, CPU, start=3, state=state)
    assert equal(weights(second, other), weights(whole, other))
    again = second.variants[ended.key()]
    assert (again.status, again.reason) == ("diverged", "the test says so")
    assert again.released and not second.variants[other.key()].released
    # What it had learned is still there, and so is what a record needs of it.
    assert equal(weights(second, ended), weights(first, ended))
    assert [p["samples"] for p in again.curve] == [3 * members.recipe.budget.batch]


def test_a_released_variant_keeps_the_weights_with_which_it_ended() -> None:
    one = recipe(1)
    training = trained(cohort(one), CPU)
    before = {name: value.clone() for name, value in weights(training, one).items()}
    training.variants[one.key()].release()
    assert equal(weights(training, one), before)
    assert equal(weights(trained(cohort(one), CPU), one), before)
