"""What a study asks of its cluster: how its cohorts are laid out, on what, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """What is said of a cohort's workers, and of what a study may use; 0 or "": by rule.

    `workers` of a cohort, `data_parallel` of them to one variant. Their GPUs are of the kind
    `accelerator`, by Ray's name, on nodes of at least `gpus_per_node`; each worker has `data_cpus`
    data tasks at a time and `worker_memory` bytes of a node's, and its variants may take
    `device_memory` bytes of its device; a data task beside them has `task_memory` bytes of the
    node's, as far as that is known. The study holds at most `max_gpus` GPUs at a time, and the
    nodes that it makes a cluster start cost at most `max_price` dollars an hour, by the file
    `prices`.
    """

    workers: int = 0
    data_parallel: int = 0
    accelerator: str = ""
    gpus_per_node: int = 0
    data_cpus: int = 0
    worker_memory: float = 0.0
    device_memory: float = 0.0
    task_memory: float = 0.0
    max_gpus: int = 0
    max_price: float = 0.0
    prices: str = ""

    @property
    def least_workers(self) -> int:
        """The fewest that a cohort can have."""
        return self.workers or self.data_parallel or 1
