"""How a study is laid out on a cluster. Oracle: the arithmetic by hand."""

from __future__ import annotations

import dataclasses
import json

import pytest

from seedbed.cluster.asked import Asked
from seedbed.cluster.autoscaler import NodeType
from seedbed.cluster.capacity import Capacity, at_most
from seedbed.cluster.choice import choose
from seedbed.cluster.memory import gigabytes
from seedbed.errors import ResourceError
from seedbed.model.towers.image import ImageTower
from seedbed.plan.memory import need_of
from seedbed.plan.plan import Plan, plan
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import SCALES
from seedbed.run.driver.parts import cut, fitted
from seedbed.run.driver.resume import Start
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.variants import CLIP

HEAD = ("", {"CPU": 0.0})


@pytest.fixture(scope="module")
def what() -> Plan:
    """Four variants on one stream, for three minutes of a core."""
    study = Study(
        name="s",
        question="?",
        base=Recipe.paper(objective=CLIP, image=ImageTower("test_vit")),
        factors=(Factor("depth", at="text.layers", levels=(1, 2, 3, 4)),),
    )
    return plan(study, SCALES["smoke"], overrides={"budget.samples": 640_000}, seeds=(0,))


def cluster(*types: NodeType) -> Capacity:
    return Capacity(
        {"CPU": 0.0}, at_most([HEAD], types, 50), types, present=(HEAD,), max_workers=50
    )


def gpu(most: int, *, cpus: float = 8.0, gpus: float = 1.0, kind: str = "T4") -> NodeType:
    return NodeType("gpu", {"CPU": cpus, "GPU": gpus, f"accelerator_type:{kind}": 1.0}, most)


@pytest.mark.slow
def test_small_variants_have_a_gpu_each_and_their_memory_is_the_reason(what: Plan) -> None:
    layout = choose(what, what.cohorts, Asked(), cluster(gpu(10)))
    assert (layout.num_workers, layout.data_parallel, layout.concurrent) == (4, 1, 1)
    largest = max(what.trials, key=lambda trial: need_of(trial).total)
    assert f"; memory: '{largest.name}' takes" in layout.words
    assert "of 14.4 GB (T4 of 16 GB x 0.9" in layout.words
    assert "up to 10 x gpu of 8 CPUs and 1 GPU" in layout.words
    kept = json.loads(json.dumps(layout.to_json()))
    assert kept == layout.to_json() == dataclasses.asdict(layout) | {"labels": {}}


@pytest.mark.slow
def test_of_gpus_too_small_for_a_variant_several_train_it_and_so_fewer_variants_side_by_side(
    what: Plan,
) -> None:
    largest = max(what.trials, key=lambda trial: need_of(trial).total)
    between = (need_of(largest, 1).total + need_of(largest, 2).total) / 2
    layout = choose(what, what.cohorts, Asked(device_memory=between), cluster(gpu(4)))
    assert (layout.num_workers, layout.data_parallel) == (4, 2)
    assert f"with 1 {gigabytes(need_of(largest, 1).total)}" in layout.words
    said = choose(
        what, what.cohorts, Asked(data_parallel=1, device_memory=between), cluster(gpu(4))
    )
    assert (said.num_workers, said.data_parallel) == (4, 1)
    assert "memory:" not in said.words
    three = choose(what, what.cohorts, Asked(workers=6, device_memory=between), cluster(gpu(8)))
    assert (three.num_workers, three.data_parallel) == (6, 2)
    with pytest.raises(ResourceError, match=f"'{largest.name}' needs about"):
        choose(what, what.cohorts, Asked(device_memory=between), cluster(gpu(1)))


@pytest.mark.slow
def test_a_cohort_of_more_variants_than_fit_is_cut_before_it_starts(what: Plan) -> None:
    (cohort,) = what.cohorts
    worst = max((need_of(trial) for trial in what.trials), key=lambda need: need.total)
    two = worst.total + worst.state
    layout = choose(what, what.cohorts, Asked(device_memory=two), cluster(gpu(1)))
    assert (layout.num_workers, layout.variants) == (1, 2)
    starts, words = fitted([Start(cohort)], layout)
    assert [len(start.cohort.trials) for start in starts] == [2, 2]
    assert {t.key for s in starts for t in s.cohort.trials} == {t.key for t in cohort.trials}
    assert "1 cohorts are trained as 2, since 2 variants fit a GPU" in words
    # Two GPUs have two each.
    layout = choose(what, what.cohorts, Asked(device_memory=two), cluster(gpu(2)))
    assert fitted([Start(cohort)], layout) == ([Start(cohort)], "")
    assert [len(part.trials) for part in cut(cohort, 3)] == [2, 2]


def test_limits_hold_and_are_said(what: Plan) -> None:
    types = (gpu(10), NodeType("cores", {"CPU": 32.0}, 5))
    layout = choose(what, what.cohorts, Asked(max_gpus=2), cluster(*types))
    assert (layout.num_workers, layout.concurrent) == (2, 1)
    assert "asked for at most 2 GPUs: the cluster has 0 CPUs" in layout.words
    with pytest.raises(ResourceError, match="needs 3 GPUs and the cluster may use 2"):
        choose(what, what.cohorts, Asked(workers=3, max_gpus=2), cluster(*types))
    one = choose(what, what.cohorts, Asked(accelerator="T4", gpus_per_node=1), cluster(*types))
    assert (one.accelerator, one.one_node) == ("T4", False)
    eight = cluster(gpu(1, cpus=64, gpus=8.0))
    assert choose(what, what.cohorts, Asked(gpus_per_node=8), eight).one_node


def test_data_tasks_have_the_cores_beside_a_gpu_and_others_up_to_sixteen(what: Plan) -> None:
    asked = Asked(workers=1)
    alone = choose(what, what.cohorts, asked, cluster(gpu(4)))
    # Of four nodes one is used: the cores of the other three would come with idle GPUs.
    assert (alone.data_tasks, alone.threads) == (7, 8)
    helped = choose(what, what.cohorts, asked, cluster(gpu(4), NodeType("c", {"CPU": 32.0}, 5)))
    assert helped.data_tasks == 16
    rich = choose(what, what.cohorts, asked, cluster(gpu(4, cpus=48)))
    assert rich.data_tasks == 47
    assert choose(what, what.cohorts, Asked(1, data_cpus=3), cluster(gpu(4))).data_tasks == 3


def test_a_node_with_a_small_object_store_runs_fewer_data_tasks_and_says_so(what: Plan) -> None:
    small = gpu(4)
    small = dataclasses.replace(small, resources={**small.resources, "object_store_memory": 40e6})
    layout = choose(what, what.cohorts, Asked(workers=4), cluster(small))
    # A task's round is 1,024 x 8 / 4 rows of 32 x 32 x 3 + 12 x 8 bytes, and one of them waits; the
    # worker has taken three chunks of 2,048 rows.
    row = 32 * 32 * 3 + 12 * 8
    assert layout.data_tasks == int((40e6 - 3 * 2048 * row) / (2048 * row)) == 3
    assert "room for 3 data tasks to a worker instead of 7" in layout.words
    assert choose(what, what.cohorts, Asked(workers=4), cluster(gpu(4))).data_tasks == 7
    rehearsed = choose(what, what.cohorts, Asked(workers=4), cluster(small), trains=False)
    assert rehearsed.data_tasks == 7
