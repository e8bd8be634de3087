"""What fits a cluster. Oracle: the arithmetic, done here by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from seedbed.cluster.asked import Asked
from seedbed.cluster.layout import Shares, check_disk, lay_out
from seedbed.errors import ResourceError
from seedbed.model.towers.image import ImageTower
from seedbed.plan.plan import Plan, plan
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import SCALES
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.variants import CLIP


@pytest.fixture
def small() -> Plan:
    return at()


def at(**overrides: int) -> Plan:
    study = Study(
        name="s",
        question="?",
        base=Recipe.paper(objective=CLIP, image=ImageTower("test_resnet")),
        factors=(Factor("depth", at="text.layers", levels=(1, 2)),),
    )
    return plan(study, SCALES["smoke"], overrides=overrides)


def test_one_worker_and_its_data_task_fit_two_cpus() -> None:
    layout = lay_out({"CPU": 2.0}, Asked(1), num_cohorts=3)
    assert (layout.concurrent, layout.threads, layout.data_tasks) == (1, 2, 1)


def test_eight_cpus_run_as_many_cohorts_as_there_are_and_share_out_the_rest() -> None:
    layout = lay_out({"CPU": 8.0}, Asked(1), num_cohorts=2)
    assert (layout.concurrent, layout.threads, layout.data_tasks) == (2, 4, 3)


def test_a_worker_has_no_more_threads_than_a_node_has_cpus() -> None:
    four_nodes = lay_out({"CPU": 32.0}, Asked(1), num_cohorts=1, nodes=[{"CPU": 8}])
    assert (four_nodes.num_workers, four_nodes.threads) == (1, 8)
    assert "1 worker of 8 threads" in four_nodes.words


def test_gpus_bound_how_many_cohorts_run_at_a_time() -> None:
    layout = lay_out({"CPU": 64.0, "GPU": 4.0}, Asked(2, 2), num_cohorts=9)
    assert (layout.concurrent, layout.use_gpu) == (2, True)


@pytest.mark.parametrize(
    ("cluster", "workers", "sentence"),
    [
        ({"CPU": 2.0}, 2, r"needs 3 CPUs and the cluster has 2"),
        ({"CPU": 1.0}, 1, r"needs 2 CPUs and the cluster has 1"),
        ({"CPU": 16.0, "GPU": 1.0}, 2, r"needs 2 GPUs and the cluster has 1"),
    ],
)
def test_what_never_fits_is_refused_with_the_arithmetic(
    cluster: dict[str, float], workers: int, sentence: str
) -> None:
    with pytest.raises(ResourceError, match=sentence):
        lay_out(cluster, Asked(workers), num_cohorts=1)


def test_a_cohort_is_split_by_its_variants_where_nobody_said_how() -> None:
    eight = Shares((1, 2, 4, 8))
    two_cores = lay_out({"CPU": 2.0}, Asked(), num_cohorts=3, shares=eight)
    assert (two_cores.num_workers, two_cores.threads, two_cores.cpus_per_worker) == (2, 1, 0.5)
    laptop = lay_out({"CPU": 8.0}, Asked(), num_cohorts=1, shares=eight)
    assert (laptop.num_workers, laptop.threads, laptop.cpus_per_worker) == (8, 1, 7 / 8)
    node = lay_out({"CPU": 64.0, "GPU": 8.0}, Asked(), num_cohorts=3, shares=eight)
    assert (node.num_workers, node.concurrent, node.data_parallel) == (2, 3, 1)
    pairs = lay_out({"CPU": 64.0, "GPU": 8.0}, Asked(0, 2), num_cohorts=1, shares=eight)
    assert (pairs.num_workers, pairs.data_parallel) == (8, 2)
    said = lay_out({"CPU": 8.0}, Asked(1), num_cohorts=1, shares=eight)
    assert (said.num_workers, said.threads) == (1, 8)


def test_a_disk_without_room_is_refused_with_what_is_needed(small: Plan) -> None:
    with pytest.raises(ResourceError, match=r"has 0\.0 GB free and the study needs") as caught:
        check_disk(small, 1_000_000, "/results")
    assert "--storage" in caught.value.mend
    check_disk(small, 10**12, "/results")
    with pytest.raises(ResourceError, match=r"pictures to be tested on of 1000\.00 GB"):
        check_disk(small, 10**12, "/results", test_bytes=10**12)
    check_disk(small, None, "s3://bucket")


def test_store_writes_whole_files_and_lists_them(tmp_path: Path) -> None:
    from seedbed.storage.folder import Folder

    store = Folder(str(tmp_path)).sub("a")
    store.write_json({"x": 1}, "trials", "k", "record.json")
    assert store.read_json("trials", "k", "record.json") == {"x": 1}
    assert store.read_json("trials", "none", "record.json") is None
    assert store.names("trials") == ["k"]
    assert store.names("nothing") == []
    store.remove("trials", "k")
    assert not store.exists("trials", "k", "record.json")
