"""Runs many jobs, one for each shard, as Ray tasks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import ray

from seedbed.cluster.asked import Asked
from seedbed.cluster.autoscaler import Scaling
from seedbed.cluster.capacity import Capacity, at_most, cluster_capacity
from seedbed.cluster.limits import within
from seedbed.data.footprint import PROCESS_BYTES
from seedbed.data.shards.spread import ShardJob
from seedbed.errors import ours
from seedbed.storage.retry import retry_seconds, retrying_for

Result = TypeVar("Result")

AHEAD = 4  # jobs begun or waiting to be read, for each that runs: the first may be slow


def over_ray(
    work: Callable[[Any], Result], jobs: Sequence[ShardJob], most: int | None = None
) -> Iterator[Result]:
    """`work` of each job as Ray tasks of one CPU; results in the order of the jobs.

    Each declares the memory of the largest job, so that a node has no more of them than it holds.
    `most` run or wait for a node at a time; by `most_at_once` where nothing is said. A task that is
    lost with its node is retried, and its storage requests are retried for as long as the driver's.
    A SeedbedError of a job is raised here unchanged.
    """
    seconds = retry_seconds()

    def retried(job: ShardJob) -> Result:
        with retrying_for(seconds):
            return work(job)

    capacity = cluster_capacity()
    memory = task_memory(jobs, capacity)
    task = ray.remote(num_cpus=1, memory=memory, max_retries=3)(retried)
    most = max(1, most_at_once(capacity, Asked(), memory) if most is None else most)
    flying: deque[Any] = deque()
    running: list[Any] = []
    for job in jobs:
        while len(running) >= most:
            _, running = ray.wait(running, num_returns=1, fetch_local=False)
        while len(flying) >= AHEAD * most:
            yield _result(flying.popleft())
        flying.append(task.remote(job))
        running.append(flying[-1])
    while flying:
        yield _result(flying.popleft())


def task_memory(jobs: Sequence[ShardJob], capacity: Capacity) -> int:
    """Bytes that a task of any of `jobs` declares: no more than the largest node has, since it may
    get by with less than is planned, and would never run."""
    planned = PROCESS_BYTES + max((job.held_bytes for job in jobs), default=0)
    able = (node for node in capacity.nodes if node.get("CPU"))
    largest = max((node.get("memory", 0.0) for node in able), default=0.0)
    return min(planned, int(largest) or planned)


def most_at_once(capacity: Capacity, asked: Asked, memory: int) -> int:
    """How many tasks of one CPU and `memory` bytes may run or wait for a node at a time.

    0 where no limit allows one. A node has as many as its CPUs and its memory hold.

    The autoscaler starts nodes for all that wait, those with GPUs too once it can start no others.
    So there are as many as nodes without GPUs have CPUs; where there can be none, as all have.
    """
    allowed = within(capacity, asked)
    if capacity.scaling == Scaling():  # nothing is started, and every node may work
        return _places(allowed, memory)
    plain = _places(_without_gpus(allowed), memory)
    if not plain and not _places(_without_gpus(capacity), memory):
        return _places(allowed, memory)
    return plain


def _without_gpus(capacity: Capacity) -> Capacity:
    """The nodes that have no GPU, of those there are and those that can be started."""
    types = tuple(one for one in capacity.node_types if not one.resources.get("GPU"))
    present = tuple((name, node) for name, node in capacity.present if not node.get("GPU"))
    return replace(capacity, node_types=types, present=present)


def _places(capacity: Capacity, memory: int) -> int:
    """How many tasks of one CPU and `memory` bytes the nodes hold at a time."""

    def held(node: Mapping[str, float]) -> dict[str, float]:
        places = min(node.get("CPU", 0.0), node.get("memory", 0.0) // memory)
        return {"CPU": float(int(places))}

    types = [replace(one, resources=held(one.resources)) for one in capacity.node_types]
    present = [(name, held(node)) for name, node in capacity.present]
    return int(at_most(present, types, capacity.max_workers).get("CPU", 0))


def _result(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        known = ours(error)
        if known is None:
            raise
        raise known from None
