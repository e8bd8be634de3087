"""Which variants fit no GPU. Oracle: the arithmetic by hand, and torch's count of weights."""

from __future__ import annotations

import pytest

from seedbed.cluster.autoscaler import NodeType
from seedbed.cluster.capacity import Capacity
from seedbed.cluster.memory import check_gpus, largest_gpu
from seedbed.errors import ResourceError
from seedbed.model.pretrainer import Pretrainer
from seedbed.model.towers.image import ImageTower
from seedbed.plan.memory import held_by
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
    assert held.total(100) == sum(held.states) + 100 * held.row


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
    with pytest.raises(ResourceError, match="2 variants need at least") as caught:
        check_gpus([cohort], one_less)
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


def test_gpus_are_known_by_their_kind_and_the_largest_counts() -> None:
    t4 = NodeType("t4", {"CPU": 4.0, "GPU": 1.0, "accelerator_type:T4": 1.0}, 4)
    h100 = NodeType("h100", {"CPU": 200.0, "GPU": 8.0, "accelerator_type:H100": 1.0}, 2)
    nameless = NodeType("other", {"CPU": 4.0, "GPU": 1.0}, 1)
    head = {"CPU": 4.0}

    def most(*types: NodeType) -> int | None:
        return largest_gpu(Capacity(head, head, types))

    small, large = most(t4), most(t4, h100)
    assert small is not None and large is not None
    # 16 GiB and 80 GiB, as their makers say; no card of the name may be refused what it can hold.
    assert 16 * 2**30 <= small < 1.1 * 16 * 2**30
    assert large >= 80 * 2**30
    assert most() is None and most(h100, nameless) is None
