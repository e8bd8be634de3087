"""Cores of workers and data tasks on several nodes. Oracle: packing as Ray packs, in its units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations_with_replacement, product

import pytest
import ray
from ray.cluster_utils import Cluster
from ray.util.placement_group import placement_group

from seedbed.cluster.asked import Asked
from seedbed.cluster.autoscaler import NodeType, Scaling
from seedbed.cluster.layout import Layout, Shares, lay_out
from seedbed.errors import ResourceError

Node = tuple[int, int]  # CPUs and GPUs
UNITS = 10_000  # of a core: Ray rounds to these
EIGHT = Shares((1, 2, 4, 8))


def laid_out(nodes: Sequence[Node], asked: Asked, cohorts: int, shares: Shares) -> Layout:
    kinds = [{"CPU": float(cpus), "GPU": float(gpus)} for cpus, gpus in nodes]
    total: Counter[str] = Counter()
    for kind in kinds:
        total.update(kind)
    return lay_out(total, asked, num_cohorts=cohorts, shares=shares, nodes=kinds)


def packed(layout: Layout, nodes: Sequence[Node], choose: Callable[..., int]) -> list[float]:
    """CPUs that stay free on each node when the workers of all cohorts at a time have a place.

    Of the nodes with room for a worker `choose` takes one by its free units, and as many of the
    cohort's workers go there as fit, as by Ray's strategy PACK.
    """
    need, gpu = round(layout.cpus_per_worker * UNITS), int(layout.use_gpu)
    free = [[cpus * UNITS, gpus] for cpus, gpus in nodes]
    for _ in range(layout.concurrent):
        left = layout.num_workers
        while left:
            rooms = [node for node in free if node[0] >= need and node[1] >= gpu]
            node = choose(rooms)  # raises where a worker has no place
            while left and node[0] >= need and node[1] >= gpu:
                node[0], node[1], left = node[0] - need, node[1] - gpu, left - 1
    return [units / UNITS for units, _ in free]


def chosen_layouts(nodes: Sequence[Node]) -> list[Layout]:
    layouts = []
    counts = (Asked(), Asked(0, 2), Asked(1), Asked(2), Asked(3))
    kinds = (EIGHT, Shares((1, 2, 3, 6, 9)), Shares())
    for asked, cohorts, shares in product(counts, (1, 2, 3, 9), kinds):
        try:
            layouts.append(laid_out(nodes, asked, cohorts, shares))
        except ResourceError:
            continue
    return layouts


@pytest.mark.parametrize(
    "kinds", [[(1, 0), (2, 0), (3, 0), (8, 0), (0, 0)], [(4, 4), (3, 1), (9, 8)]]
)
def test_beside_the_workers_of_every_layout_a_data_task_has_a_place(kinds: list[Node]) -> None:
    num_layouts = 0
    for size in range(1, 4):
        for nodes in combinations_with_replacement(kinds, size):
            for layout in chosen_layouts(nodes):
                for choose in (min, max):  # the fullest node first, or the emptiest
                    free = packed(layout, nodes, choose)
                    assert max(free) >= layout.task_cpus > 0, (nodes, layout)
                num_layouts += 1
    assert num_layouts > 400


def test_workers_that_have_nearly_all_cores_of_several_nodes_leave_each_a_part_of_one() -> None:
    four = [(0, 0), *[(2, 0)] * 4]
    layout = laid_out(four, Asked(), 1, EIGHT)
    assert (layout.num_workers, layout.cpus_per_worker) == (8, 0.6667)
    assert packed(layout, four, min) == [0, *[pytest.approx(2 - 2 * 0.6667)] * 4]
    assert layout.task_cpus == 0.6666
    # Of two cohorts on a node each leaves its own part.
    layout = laid_out([(8, 0)] * 2, Asked(), 4, EIGHT)
    assert (layout.num_workers, layout.concurrent) == (4, 4)
    assert layout.task_cpus == pytest.approx(4 / 9, abs=1e-3)


def test_thirds_of_a_core_are_rounded_down_so_that_a_whole_one_stays() -> None:
    layout = laid_out([(3, 0)], Asked(), 1, Shares((1, 3)))
    assert (layout.num_workers, layout.cpus_per_worker, layout.task_cpus) == (3, 0.6666, 1.0)


def test_workers_with_gpus_leave_a_core_of_each_node() -> None:
    layout = laid_out([(8, 8)] * 2, Asked(), 1, Shares((1, 16)))
    assert (layout.num_workers, layout.cpus_per_worker, layout.task_cpus) == (16, 7 / 8, 1.0)
    # Cores elsewhere are none for workers that need this node's GPUs.
    layout = laid_out([(2, 8), (32, 0)], Asked(), 1, EIGHT)
    assert (layout.num_workers, layout.cpus_per_worker) == (8, 1 / 8)


def test_an_autoscaler_has_room_for_a_node_with_cores_below_its_limits() -> None:
    small, bare = NodeType("small", {"CPU": 2.0}, 4), NodeType("bare", {"GPU": 1.0}, 9)
    scaling = Scaling((small, bare), 6)
    assert scaling.has_room(["", "small", "small", "small"])
    assert not scaling.has_room(["", *["small"] * 4])
    assert not scaling.has_room([*["small"] * 3, *["bare"] * 3])
    assert not Scaling().has_room([])


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(300)
def test_on_nodes_of_two_cores_ray_places_all_workers_and_a_data_task() -> None:
    nodes: list[Node] = [(0, 0), (2, 0), (2, 0)]
    layout = laid_out(nodes, Asked(), 1, EIGHT)
    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        for cpus, _ in nodes[1:]:
            started.add_node(num_cpus=cpus)
        ray.init(address=started.address, log_to_driver=False)
        workers = [{"CPU": layout.cpus_per_worker}] * layout.num_workers
        ray.get(placement_group(workers, strategy="PACK").ready(), timeout=60)
        task = ray.remote(num_cpus=layout.task_cpus)(lambda: "read")
        assert ray.get(task.remote(), timeout=60) == "read"
    finally:
        ray.shutdown()
        started.shutdown()
