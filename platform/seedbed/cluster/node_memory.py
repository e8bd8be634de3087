"""What workers, and the tasks that read their data, ask for of nodes' memory: whether it is there.

Ray gives a task a place where a node has left what the task asks for. Of a node whose workers hold
all its memory that is none: the task would wait for ever, and the workers for what it reads. So
each node with workers keeps the memory of one task, as `cores` keeps the cores of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from seedbed.cluster.asked import Asked
from seedbed.cluster.capacity import Capacity, at_most
from seedbed.cluster.layout import Layout
from seedbed.cluster.memory import gigabytes
from seedbed.cluster.store import streams_of, workers_on
from seedbed.data.corpus import Corpus
from seedbed.data.footprint import task_bytes
from seedbed.data.opening import OpenCorpus
from seedbed.errors import ResourceError
from seedbed.plan.cohort import Cohort


def task_memory(cohorts: Sequence[Cohort], num_workers: int, pair_bytes: float = 0.0) -> float:
    """Bytes that the largest data task of cohorts on so many workers asks for.

    `pair_bytes` are those of a pair in its shard, on average: 0 where no corpus was opened yet, and
    then it asks for more.
    """
    streams = streams_of(cohorts, num_workers)
    return float(max(task_bytes(one.rendering, int(one.rows * pair_bytes)) for one in streams))


def pair_bytes(corpora: Mapping[Corpus, OpenCorpus]) -> float:
    """Of a pair as it lies in its shard, on average over the corpus whose pairs are largest."""
    rows = [opened.train for opened in corpora.values()]
    return max((sum(r.num_bytes) / max(1, sum(r.num_rows)) for r in rows), default=0.0)


def places(resources: Mapping[str, float], asked: Asked) -> int:
    """How many workers a node has the memory for, beside one data task."""
    left = resources.get("memory", 0.0) - asked.task_memory
    return max(0, int(left // asked.worker_memory))


def worker_places(capacity: Capacity, asked: Asked) -> int:
    """How many workers without GPUs all nodes have the memory for, no more on any than its cores,
    when the cluster is as large as it can be."""

    def held(node: Mapping[str, float]) -> dict[str, float]:
        cpus = node.get("CPU", 0.0)
        return {"CPU": cpus, "places": float(min(int(cpus), places(node, asked)))}

    present = [(name, held(node)) for name, node in capacity.present]
    types = [replace(one, resources=held(one.resources)) for one in capacity.node_types]
    return int(at_most(present, types, capacity.max_workers).get("places", 0.0))


def check_tasks(capacity: Capacity, needed: float) -> None:
    """Raise ResourceError where no node has `needed` bytes for one data task. A node whose memory
    is not known may have them."""
    nodes = [node for node in capacity.nodes if node.get("CPU")]
    if capacity.unknown or not nodes or not all(node.get("memory") for node in nodes):
        return
    largest = max(node["memory"] for node in nodes)
    if largest < needed:
        raise ResourceError(
            f"a task that reads data needs {gigabytes(needed)} of a node's memory, and none has "
            f"more than {gigabytes(largest)}",
            why="it holds its process, what it has read, and chunks of what it renders: Ray would "
            "start it nowhere, and say nothing",
            mend="take nodes with more memory, or end what else runs on them",
        )


def within_memory(layout: Layout, capacity: Capacity, asked: Asked) -> Layout:
    """`layout` with as many data tasks at a time as nodes have memory for, beside its workers.

    More would wait, and make an autoscaler start nodes for them.
    """
    used = layout.concurrent * layout.num_workers
    near: list[float] = []  # of each worker, on every kind of node that may have some
    others = 0.0  # on those that have none
    for count, node in _counted(capacity):
        memory, workers = node.get("memory", 0.0), workers_on(node, layout)
        if workers and memory:
            left = memory - workers * asked.worker_memory
            near.append(left / (workers * asked.task_memory))
        elif node.get("CPU"):
            others += count * memory / asked.task_memory / used
    if not near:
        return layout
    tasks = max(1, int(min(near) + others))
    if tasks >= layout.data_tasks:
        return layout
    words = (
        f"; memory of nodes: {tasks} data tasks to a worker instead of {layout.data_tasks}, of "
        f"{gigabytes(asked.task_memory)} each"
    )
    return replace(layout, data_tasks=tasks, words=f"{layout.words}{words}")


def _counted(capacity: Capacity) -> list[tuple[int, Mapping[str, float]]]:
    """Each kind of node, and how many there may be."""
    types = [(one.most, one.resources) for one in capacity.node_types]
    return [*types, *((1, node) for _, node in capacity.present)]
