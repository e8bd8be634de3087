"""The cohorts that a worker group is given, one after another.

It names nothing heavy: the processes that hold worker groups read it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

ENDED = "ended"  # in a report: the number of the job that has ended on all ranks
LEFT = "left"  # in the last report: the workers leave a node, and others are to take the job


def jobs(config: dict[str, Any]) -> Iterator[Any]:
    """The jobs of `config["mailbox"]`, the same on every rank, until there are no more.

    The next one is given only when all ranks have ended the last.
    """
    import ray
    import ray.train

    number = 0
    while True:
        number, job = ray.get(config["mailbox"].next.remote(number))
        if job is None:
            return
        reference, retries = job
        yield replace(ray.get(reference), retries=retries)
        ray.train.report({ENDED: number})


def leave() -> None:
    """Say that the workers end before their job has, which they have saved."""
    import ray.train

    ray.train.report({LEFT: True})
