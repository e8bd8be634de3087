"""What only a GPU shows of a cohort. Oracles: the variant alone, uninterrupted, or in fp32."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace

import pytest
import torch
from tests.run.worker.random_batches import (
    STEPS,
    VIT,
    batch,
    cohort,
    recipe,
    trained,
    trained_beside_a_greedy_one,
    weights,
)
from torch._dynamo.utils import counters

from seedbed.recipe.recipe import Recipe
from seedbed.run.worker.cohort import CohortTraining
from seedbed.variants import CLIP, DEFILIP, UNIFIED

pytestmark = pytest.mark.gpu
DEVICE = torch.device("cuda", 0)
DROPPING = replace(VIT, options=(*VIT.options, ("proj_drop_rate", 0.5)))
# Kernels may add in another order from run to run; AdamW enlarges that where gradients are small.
CLOSE = {"rtol": 1e-3, "atol": 1e-3}


def apart(one: CohortTraining, other: CohortTraining, of: Recipe, with_: Recipe) -> float:
    """The largest difference of two trials' weights."""
    ours, theirs = weights(one, of), weights(other, with_)
    return max((ours[n].double() - theirs[n].double()).abs().max().item() for n in theirs)


def test_a_variant_draws_the_same_random_numbers_alone_as_beside_others() -> None:
    one, other = recipe(1, image=DROPPING), recipe(2, image=DROPPING)
    beside, alone = trained(cohort(other, one), DEVICE), trained(cohort(one), DEVICE)
    assert apart(beside, alone, one, one) < 1e-4
    training = CohortTraining(cohort(one), DEVICE)
    for step in range(STEPS):
        torch.manual_seed(7)  # the process's own numbers are nobody's
        training.step(training.prepare(batch(cohort(one), step)))
    assert apart(training, alone, one, one) < 1e-4
    # What is dropped shows: without it the weights are others.
    plain = recipe(1)
    assert apart(trained(cohort(plain), DEVICE), alone, plain, one) > 1e-3


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_resumed_it_goes_on_as_if_uninterrupted(precision: str) -> None:
    one = recipe(1, DEFILIP, image=DROPPING, precision=precision)
    members = cohort(one, recipe(2, CLIP, image=DROPPING))
    whole = trained(members, DEVICE)
    first = CohortTraining(members, DEVICE)
    for step in range(3):
        first.step(first.prepare(batch(members, step)))
    first.collect()
    held = io.BytesIO()
    torch.save(first.state_dict(), held)
    held.seek(0)
    state = torch.load(held, map_location=DEVICE, weights_only=True)
    second = trained(members, DEVICE, start=3, state=state)
    ours, theirs = weights(second, one), weights(whole, one)
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, **CLOSE)


@pytest.mark.parametrize("name", UNIFIED)
def test_bf16_gives_the_losses_of_fp32_within_five_percent(name: str) -> None:
    objective = UNIFIED[name]["objective"]
    curves = []
    for precision in ("fp32", "bf16"):
        one = recipe(1, objective, precision=precision)
        training = CohortTraining(cohort(one), DEVICE)
        for step in range(2):
            training.step(training.prepare(batch(cohort(one), step)))
        (point,) = training.collect()
        curves.append({n: v for n, v in point.metrics.items() if "loss" in n})
    assert curves[1] == pytest.approx(curves[0], rel=0.05, abs=0.02)


def test_a_variant_that_runs_out_of_memory_leaves_the_others_and_gives_back_all_it_held() -> None:
    greedy, sound = recipe(2), recipe(1)

    def fill() -> None:
        held = []
        while True:
            held.append(torch.empty(1 << 30, dtype=torch.uint8, device=DEVICE))

    training = trained_beside_a_greedy_one(greedy, sound, DEVICE, fill)
    sick = training.variants[greedy.key()]
    assert sick.status == "failed" and "OutOfMemoryError at step 3" in sick.reason
    assert {p.device.type for p in sick.model.parameters()} == {"cpu"}
    alone = trained(cohort(sound), DEVICE)
    assert apart(training, alone, sound, sound) < 1e-4
    del alone
    free, whole = torch.cuda.mem_get_info(DEVICE)
    assert free > whole / 2


def test_a_released_variant_s_memory_is_its_neighbours() -> None:
    one = recipe(1)
    training = trained(cohort(one), DEVICE)
    before = torch.cuda.memory_allocated(DEVICE)
    variant = training.variants[one.key()]
    of_weights = sum(p.numel() * p.element_size() for p in variant.model.parameters())
    variant.release()
    # Weights and AdamW's two moments; gradients are given back after each step.
    assert before - torch.cuda.memory_allocated(DEVICE) >= 2.9 * of_weights


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_towers_of_several_depths_train_in_one_process_as_eager_ones_do() -> None:
    depths = range(1, 5)
    torch._dynamo.reset_code_caches()
    counters.clear()
    compiled = cohort(*(recipe(layers, compile=True) for layers in depths))
    eager = cohort(*(recipe(layers) for layers in depths))
    ours, theirs = trained(compiled, DEVICE), trained(eager, DEVICE)
    assert [v.reason for v in ours.variants.values()] == [""] * len(depths)
    assert counters["stats"]["unique_graphs"] == len(depths) + 1
    for one, other in zip(compiled.trials, eager.trials, strict=True):
        for a, b in zip(
            ours.variants[one.key].curve, theirs.variants[other.key].curve, strict=True
        ):
            assert a["train/loss"] == pytest.approx(b["train/loss"], rel=1e-2)
