"""Runs many jobs, one for each shard, as Ray tasks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import ray

from seedbed.cluster.asked import Asked
from seedbed.cluster.autoscaler import Scaling
from seedbed.cluster.capacity import Capacity, at_most, cluster_capacity
from seedbed.cluster.limits import within
from seedbed.errors import ours
from seedbed.storage.retry import retry_seconds, retrying_for

Job = TypeVar("Job")
Result = TypeVar("Result")

AHEAD = 4  # jobs begun or waiting to be read, for each that runs: the first may be slow


def over_ray(
    work: Callable[[Job], Result], jobs: Sequence[Job], most: int | None = None
) -> Iterator[Result]:
    """`work` of each job as Ray tasks of one CPU; results in the order of the jobs.

    `most` run or wait for a node at a time; by `most_at_once` where nothing is said. A task that is
    lost with its node is retried, and its storage requests are retried for as long as the driver's.
    A SeedbedError of a job is raised here unchanged.
    """
    seconds = retry_seconds()

    def retried(job: Job) -> Result:
        with retrying_for(seconds):
            return work(job)

    task = ray.remote(num_cpus=1, max_retries=3)(retried)
    most = max(1, most_at_once(cluster_capacity(), Asked()) if most is None else most)
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


def most_at_once(capacity: Capacity, asked: Asked) -> int:
    """How many tasks of one CPU may run or wait for a node at a time, 0 where no limit allows one.

    The autoscaler starts nodes for all that wait, those with GPUs too once it can start no others.
    So there are as many as nodes without GPUs have CPUs; where there can be none, as all have.
    """
    allowed = within(capacity, asked)
    if capacity.scaling == Scaling():  # nothing is started, and every node may work
        return int(allowed.most.get("CPU", 0))
    plain = _without_gpus(allowed)
    if not plain and not _without_gpus(capacity):
        return int(allowed.most.get("CPU", 0))
    return plain


def _without_gpus(capacity: Capacity) -> int:
    """The CPUs of nodes that have no GPU, of those there are and those that can be started."""
    types = [one for one in capacity.node_types if not one.resources.get("GPU")]
    present = [(name, node) for name, node in capacity.present if not node.get("GPU")]
    return int(at_most(present, types, capacity.max_workers).get("CPU", 0))


def _result(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        known = ours(error)
        if known is None:
            raise
        raise known from None
