"""Work on many shards, spread over the cluster."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import ray

Job = TypeVar("Job")
Result = TypeVar("Result")

AHEAD = 4  # jobs in flight for each CPU: enough that none waits, few enough to hold


def over_ray(work: Callable[[Job], Result], jobs: Sequence[Job]) -> Iterator[Result]:
    """`work` of each job as Ray tasks of one CPU; results in the order of the jobs.

    A task lost with its node is run again. What a job raises is raised here.
    """
    task = ray.remote(num_cpus=1, max_retries=3)(work)
    most = max(1, int(AHEAD * ray.cluster_resources().get("CPU", 1)))
    flying: deque[Any] = deque()
    for job in jobs:
        if len(flying) == most:
            yield ray.get(flying.popleft())
        flying.append(task.remote(job))
    while flying:
        yield ray.get(flying.popleft())
