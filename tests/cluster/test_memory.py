"""What fits which GPU. Oracle: the arithmetic by hand, and what torch holds and saves."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from ray.util.accelerators import accelerators

from seedbed.cluster.autoscaler import NodeType
from seedbed.cluster.capacity import Capacity
from seedbed.cluster.cards import CARDS, GIB, Room, room
from seedbed.cluster.memory import check_gpus, parts_for, variants_for
from seedbed.data.views import View
from seedbed.errors import CohortTooLargeError, ResourceError
from seedbed.model.pretrainer import Pretrainer
from seedbed.model.towers.image import ImageTower
from seedbed.plan.cohort import Cohort
from seedbed.plan.memory import held_by, need_of, step_of
from seedbed.plan.plan import Plan, plan
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import SCALES
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.variants import CLIP, SLIP


@pytest.fixture(scope="module")
def what() -> Plan:
    study = Study(
        name="s",
        question="?",
        base=Recipe.paper(objective=CLIP, image=ImageTower("test_vit")),
        factors=(Factor("depth", at="text.layers", levels=(1, 2)),),
    )
    return plan(study, SCALES["smoke"], seeds=(0,))


def test_a_variant_holds_four_numbers_of_each_weight_and_the_rows_of_a_batch(what: Plan) -> None:
    (cohort,) = what.cohorts
    recipe = cohort.recipe
    models = [
        Pretrainer(
            trial.recipe.image, trial.recipe.text, trial.recipe.objective,
            embed_dim=recipe.embed_dim, seed=0, precision="fp32", micro_batch=0,
        )
        for trial in cohort.trials
    ]  # fmt: skip
    held = held_by(cohort.trials)
    assert held.states == tuple(4 * 4 * sum(p.numel() for p in m.parameters()) for m in models)
    # One view of each picture, and one of each caption.
    assert held.row == 3 * recipe.image.size**2 + 4 * recipe.text.context
    # Of the one that waits no gradients; where several GPUs add them up their buckets stay.
    weights = [sum(p.numel() for p in m.parameters()) for m in models]
    assert held.total(100) == 3 * 4 * sum(weights) + 4 * max(weights) + 100 * held.row
    assert held_by(cohort.trials, 2).total(100) == sum(held.states) + 100 * held.row


def test_the_views_of_a_cohort_are_held_once(what: Plan) -> None:
    (cohort,) = what.cohorts
    clip = cohort.trials[0]
    slip = type(clip)(clip.cell, clip.recipe.patch("objective", SLIP))
    side = clip.recipe.image.size
    # SLIP reads two more views of each picture.
    assert held_by([clip, slip]).row - held_by([clip]).row == 2 * 3 * side**2


def test_a_cohort_that_no_gpu_can_hold_names_a_size_that_fits(what: Plan) -> None:
    (cohort,) = what.cohorts
    batch = cohort.recipe.budget.batch
    held = held_by(cohort.trials)
    check_gpus([cohort], held.total(batch))
    one_less = held.total(batch) - 1
    with pytest.raises(CohortTooLargeError, match="2 variants need at least") as caught:
        check_gpus([cohort], one_less)
    assert caught.value.fitting == pickle.loads(pickle.dumps(caught.value)).fitting == 1
    assert caught.value.mend == "--cohort-size 1, or more --workers"
    check_gpus([cohort], one_less, num_shares=2)


def test_a_variant_that_no_gpu_can_hold_is_refused_with_what_it_needs(what: Plan) -> None:
    (cohort,) = what.cohorts
    batch = cohort.recipe.budget.batch
    largest = max(cohort.trials, key=lambda trial: held_by([trial]).states[0])
    held = held_by([largest])
    with pytest.raises(ResourceError, match=f"'{largest.name}' needs at least") as caught:
        check_gpus([cohort], held.states[0] + held.row * batch // 2, num_shares=2)
    # Two workers with half of a batch each.
    assert caught.value.mend == "--data-parallel 2"
    assert "16 bytes (weight, gradient, Adam's moments)" in caught.value.why
    check_gpus([cohort], held.states[0] + held.row * batch // 2, num_shares=2, data_parallel=2)
    with pytest.raises(ResourceError, match="needs at least") as caught:
        check_gpus([cohort], held.states[0], num_shares=2)
    assert "a smaller model" in caught.value.mend


def test_gpus_are_known_by_their_kind_and_the_smallest_is_counted_on() -> None:
    t4 = NodeType("t4", {"CPU": 4.0, "GPU": 1.0, "accelerator_type:T4": 1.0}, 4)
    a100 = {"CPU": 96.0, "GPU": 8.0, "accelerator_type:A100": 1.0}
    nameless = NodeType("other", {"CPU": 4.0, "GPU": 1.0}, 1)
    head = {"CPU": 4.0}

    def found(*types: NodeType) -> Room | None:
        return room(Capacity(head, head, types, present=(("", head),)))

    of_t4, both = found(t4), found(t4, NodeType("a100", a100, 2))
    assert of_t4 is not None and both is not None
    # Nothing is refused that 16 GiB hold, and nothing is counted on that 16 GB do not.
    assert of_t4.sure < 16e9 and of_t4.most == 16 * GIB
    assert (both.sure, both.most) == (of_t4.sure, 80 * GIB)
    assert found() is None and found(t4, nameless) is None
    # Two sizes are sold under one name, unless the node says which.
    of_a100 = found(NodeType("a100", a100, 2))
    of_80 = found(NodeType("a100", {**a100, "accelerator_type:A100-80G": 1.0}, 2))
    assert of_a100 is not None and of_80 is not None
    assert of_80.sure == 2 * of_a100.sure
    stated = room(Capacity(head, head, (nameless,)), 20e9)
    assert stated is not None and (stated.sure, stated.most) == (20e9, 20e9)


def test_every_gpu_that_ray_has_a_name_for_is_known_with_its_source() -> None:
    names = {v for n, v in vars(accelerators).items() if n.startswith("NVIDIA_")}
    assert names == CARDS.keys()
    for card in CARDS.values():
        assert 0 < card.least <= card.most and card.source.startswith("NVIDIA ")


@pytest.mark.slow
def test_what_a_step_keeps_is_what_torch_saves_in_a_real_one(what: Plan) -> None:
    recipe = what.trials[0].recipe
    model = Pretrainer(
        recipe.image, recipe.text, recipe.objective, embed_dim=recipe.embed_dim, seed=0
    )
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def saved(rows: int) -> int:
        kept = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            pictures = torch.zeros(rows, recipe.image.size, recipe.image.size, 3, dtype=torch.uint8)
            captions = torch.zeros(rows, recipe.text.context, dtype=torch.int32)
            model.encode(View("image", "image"), (pictures,))
            model.encode(View("text", "text"), (captions, torch.ones(rows, dtype=torch.int32)))
        return sum(s.nbytes() for pointer, s in kept.items() if pointer not in weights)

    step = step_of(recipe)
    assert step.splits
    assert step.row == pytest.approx((saved(40) - saved(8)) / 32, rel=0.01)
    assert step.fixed + 8 * step.row == pytest.approx(saved(8), rel=0.02)
    half = step_of(replace(recipe, precision="bf16"))
    assert 0.4 * step.row < half.row < 0.8 * step.row


@pytest.mark.slow
def test_as_few_gpus_train_a_variant_as_hold_the_largest(what: Plan) -> None:
    largest = max(what.trials, key=lambda trial: need_of(trial).total)
    for number in (1, 2, 4, 8):
        enough = need_of(largest, number).total
        assert enough == pytest.approx(
            held_by([largest]).total(64 // number)
            + step_of(largest.recipe).fixed
            + step_of(largest.recipe).row * (64 // number)
        )
        parts = parts_for(what.cohorts, Room(enough, enough, "a test's"), 8)
        assert parts.number == number
        assert f"{64 // number} rows at a time" in parts.why
    # Of twelve GPUs, three to a variant would do, but eight lanes make no three equal parts.
    between = (need_of(largest, 2).total + need_of(largest, 4).total) / 2
    assert parts_for(what.cohorts, Room(between, between, ""), 12).number == 4
    assert parts_for(what.cohorts, Room(between, between, ""), 12, workers=8).number == 4


def test_a_gpu_too_small_for_one_variant_names_what_would_do(what: Plan) -> None:
    largest = max(what.trials, key=lambda trial: need_of(trial).total)
    sure = (need_of(largest, 2).total + need_of(largest, 4).total) / 2
    small = Room(sure, sure, "a test's")
    with pytest.raises(ResourceError, match=f"'{largest.name}' needs about") as caught:
        parts_for(what.cohorts, small, 3)
    assert "32 rows at a time" in caught.value.why and "with 2 of 3 GPUs" in caught.value.why
    ways = caught.value.mend.split(", or ")
    assert ways[2] == "4 GPUs and --data-parallel 4"
    assert ways[3] == "GPUs of 8 GB, such as P4"

    def at(**changes: int) -> list[Cohort]:
        return [
            Cohort(tuple(type(t)(t.cell, t.recipe.patched(changes)) for t in c.trials))
            for c in what.cohorts
        ]

    for way, field in ((ways[0], "micro_batch"), (ways[1], "budget.batch")):
        assert way.startswith(f"--set {field}=")
        value = int(way.split("=")[1].split()[0])
        assert parts_for(at(**{field: value}), small, 3).number <= 2
    with pytest.raises(ResourceError):  # one row more is too many
        parts_for(at(micro_batch=int(ways[0].split("=")[1].split()[0]) + 1), small, 3)
    compiled = [
        Cohort(tuple(type(t)(t.cell, t.recipe.patch("compile", True)) for t in c.trials))
        for c in what.cohorts
    ]
    assert parts_for(compiled, small, 3).number == 2


def test_variants_share_a_gpu_as_long_as_their_states_fit_beside_one_step(what: Plan) -> None:
    largest = max(what.trials, key=lambda trial: need_of(trial).total)
    need = need_of(largest)
    for count in (1, 2, 3):
        enough = need.total + (count - 1) * need.kept
        assert variants_for(what.cohorts, Room(enough, enough, ""), 1) == count
        assert variants_for(what.cohorts, Room(enough - 1, enough, ""), 1) == max(1, count - 1)


@pytest.mark.gpu
def test_the_peak_of_a_step_on_a_gpu_is_about_what_was_counted(what: Plan) -> None:

    from seedbed.run.worker.batch import make_batch
    from seedbed.run.worker.variant import Variant

    rows = 512
    trial = what.trials[0]
    trial = type(trial)(trial.cell, trial.recipe.patch("budget.batch", rows))
    recipe, device = trial.recipe, torch.device("cuda", 0)
    columns = {
        "id": np.arange(rows),
        "fault": np.full(rows, "", dtype=object),
        "image": np.zeros((rows, recipe.image.size, recipe.image.size, 3), np.uint8),
        "text": np.ones((rows, recipe.text.context), np.int32),
        "text_length": np.full(rows, recipe.text.context, np.int32),
    }
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    variant, made = Variant(trial, device), make_batch(columns, recipe, device)
    for _ in range(2):
        variant.step(made.tensors, made.gather())
    peak = torch.cuda.max_memory_allocated(device) - before
    assert peak == pytest.approx(need_of(trial).total, rel=0.3)
