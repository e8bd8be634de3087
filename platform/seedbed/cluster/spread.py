"""Runs many jobs, one for each shard, as Ray tasks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import ray

from seedbed.errors import ours
from seedbed.storage.retry import retry_seconds, retrying_for

Job = TypeVar("Job")
Result = TypeVar("Result")

AHEAD = 4  # jobs in flight for each CPU: enough that none waits, few enough to hold


def over_ray(work: Callable[[Job], Result], jobs: Sequence[Job]) -> Iterator[Result]:
    """`work` of each job as Ray tasks of one CPU; results in the order of the jobs.

    A task that is lost with its node is retried, and its storage requests are retried for as long
    as the driver's. A SeedbedError of a job is raised here unchanged.
    """
    seconds = retry_seconds()

    def retried(job: Job) -> Result:
        with retrying_for(seconds):
            return work(job)

    task = ray.remote(num_cpus=1, max_retries=3)(retried)
    flying: deque[Any] = deque()
    for job in jobs:
        if len(flying) >= _most():
            yield _result(flying.popleft())
        flying.append(task.remote(job))
    while flying:
        yield _result(flying.popleft())


def _most() -> int:
    """Asked for again with each job: an autoscaler starts more nodes for jobs that wait."""
    return AHEAD * max(1, int(ray.cluster_resources().get("CPU", 0)))


def _result(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        known = ours(error)
        if known is None:
            raise
        raise known from None
