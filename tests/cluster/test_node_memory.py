"""Memory of nodes for workers and data tasks. Oracle: sums by hand, and packing one by one."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cluster.test_choice import HEAD, cluster, gpu, what

from seedbed.cluster.asked import Asked
from seedbed.cluster.autoscaler import NodeType
from seedbed.cluster.capacity import Capacity
from seedbed.cluster.choice import choose
from seedbed.cluster.layout import Layout
from seedbed.cluster.limits import within
from seedbed.cluster.node_memory import (
    check_tasks,
    pair_bytes,
    places,
    task_memory,
    within_memory,
    worker_places,
)
from seedbed.data.footprint import PROCESS_BYTES, TASK_CHUNKS
from seedbed.errors import ResourceError
from seedbed.plan.plan import Plan

__all__ = ["what"]  # a fixture
GB = 1e9


def cores(most: int, memory: float, cpus: float = 8.0) -> NodeType:
    has = {"CPU": cpus, "memory": memory, "object_store_memory": 10 * GB}
    return NodeType("cores", has, most)


@given(st.integers(1, 200), st.integers(1, 50), st.integers(0, 10))
def test_a_node_has_as_many_workers_as_leave_a_data_task_its_memory(
    memory: int, worker: int, task: int
) -> None:
    asked = Asked(worker_memory=float(worker), task_memory=float(task))
    found, left = 0, memory - task
    while left >= worker:  # one after another, as Ray gives places
        found, left = found + 1, left - worker
    assert places({"memory": float(memory)}, asked) == found


def test_without_gpus_memory_is_summed_over_nodes_and_no_node_gives_what_it_has_not() -> None:
    asked = Asked(worker_memory=9 * GB, task_memory=1 * GB)
    # (20 - 1) / 9 = 2 on each of three; of the memory of all, 60 GB, there would be six and more.
    assert worker_places(cluster(cores(3, 20 * GB)), asked) == 6
    assert worker_places(cluster(cores(6, 10 * GB - 1)), asked) == 0
    # No more than cores, and no more nodes than there can be: of 50, three are of this type.
    assert worker_places(cluster(cores(3, 900 * GB, cpus=4)), asked) == 12
    limited = replace(cluster(cores(3, 20 * GB)), max_workers=1)
    assert worker_places(limited, asked) == 2


def test_a_cohort_of_more_workers_than_memory_has_room_for_is_refused_with_the_sum(
    what: Plan,
) -> None:
    three = cluster(cores(3, 20 * GB))
    with pytest.raises(ResourceError, match=r"needs 4 workers, and the memory .* for 3") as caught:
        choose(what, what.cohorts, Asked(4, worker_memory=15 * GB), three)
    assert "each has 15 GB of one node's, beside a data task" in caught.value.why
    assert "--worker-memory" in caught.value.mend
    assert choose(what, what.cohorts, Asked(3, worker_memory=15 * GB), three).num_workers == 3
    # As many as it likes, by its variants and cores; memory has room for fewer.
    assert choose(what, what.cohorts, Asked(), three).num_workers == 4
    chosen = choose(what, what.cohorts, Asked(worker_memory=15 * GB), three)
    assert (chosen.num_workers, chosen.worker_memory) == (2, 15 * GB)
    with pytest.raises(ResourceError, match="30 GB of memory for a worker") as none:
        choose(what, what.cohorts, Asked(worker_memory=30 * GB), three)
    assert "a node has 19." in none.value.why and "--worker-memory 19" in none.value.mend


def test_workers_do_not_take_all_the_memory_of_a_node_with_gpus(what: Plan) -> None:
    node = replace(gpu(4), resources={**gpu(4).resources, "memory": 20 * GB})
    whole = Asked(1, worker_memory=20 * GB)
    assert within(cluster(node), whole).most["GPU"] == 4
    with pytest.raises(ResourceError, match="20 GB of memory for a worker") as caught:
        choose(what, what.cohorts, whole, cluster(node))
    assert "of a data task" in caught.value.why
    mended = caught.value.mend.split()[1].rstrip(",")
    asked = Asked(1, worker_memory=float(mended) * GB)
    assert choose(what, what.cohorts, asked, cluster(node)).num_workers == 1


def test_a_data_task_that_no_node_has_the_memory_for_is_refused_before_it_waits(
    what: Plan,
) -> None:
    needed = task_memory(what.cohorts, 1)
    recipe = what.cohorts[0].recipe
    row = 3 * recipe.image.size**2 + 8 * recipe.text.context
    assert needed == PROCESS_BYTES + TASK_CHUNKS * 2048 * row
    # A round has so many rows, of so many bytes each in their shards.
    rows = recipe.corpus.window_rows * recipe.corpus.lanes
    assert task_memory(what.cohorts, 1, pair_bytes=1000.0) == needed + 1000 * rows
    assert task_memory(what.cohorts, 4, pair_bytes=1000.0) == needed + 250 * rows
    small = cluster(cores(3, needed - 1))
    with pytest.raises(ResourceError, match=r"a task that reads data needs 0\.3 GB"):
        choose(what, what.cohorts, Asked(), small)
    assert choose(what, what.cohorts, Asked(), small, trains=False)  # which reads nothing
    layout = choose(what, what.cohorts, Asked(), cluster(cores(3, needed)))
    assert layout.task_memory == needed  # and a task asks for no more
    check_tasks(cluster(gpu(3)), needed)  # nobody says what memory it has
    check_tasks(replace(small, unknown="TimeoutError"), needed)


def test_no_more_data_tasks_wait_than_memory_is_left_for() -> None:
    layout = Layout(
        num_workers=1, data_parallel=1, cpus_per_worker=1.0, use_gpu=True, concurrent=1,
        threads=16, data_tasks=15, worker_memory=40 * GB,
    )  # fmt: skip
    asked = Asked(worker_memory=40 * GB, task_memory=1 * GB)
    one = NodeType("gpu", {"CPU": 16.0, "GPU": 1.0, "memory": 48 * GB}, 2)
    alone = within_memory(layout, Capacity({}, {}, (one,), present=(HEAD,)), asked)
    assert alone.data_tasks == 8
    assert "8 data tasks to a worker instead of 15, of 1.0 GB each" in alone.words
    helped = Capacity({}, {}, (one, cores(2, 3 * GB)), present=(HEAD,))
    assert within_memory(layout, helped, asked).data_tasks == 8 + 2 * 3
    free = replace(layout, worker_memory=0.0)
    assert within_memory(free, helped, replace(asked, worker_memory=0.0)) == free


def test_the_bytes_of_a_pair_are_those_of_the_corpus_with_the_largest() -> None:
    def opened(num_bytes: tuple[int, ...], num_rows: tuple[int, ...]) -> SimpleNamespace:
        return SimpleNamespace(train=SimpleNamespace(num_bytes=num_bytes, num_rows=num_rows))

    corpora = {"a": opened((600, 400), (8, 2)), "b": opened((), (10,)), "c": opened((50,), (1,))}
    assert pair_bytes(corpora) == 100.0  # type: ignore[arg-type]
    assert pair_bytes({}) == 0.0
