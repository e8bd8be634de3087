"""What the driver gives a worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from seedbed.cluster.autoscaler import Scaling
from seedbed.data.corpus import Corpus
from seedbed.data.opening import OpenCorpus
from seedbed.evaluate.prompted import OpenTest
from seedbed.plan.cohort import Cohort
from seedbed.plan.cost import Cost
from seedbed.run.worker.checkpoint import Kept
from seedbed.storage.retry import RETRY_SECONDS

# Ranks wait for one that waits for a store; and so long for one that only computes.
COLLECTIVE_SECONDS = 1_800.0


@dataclass(frozen=True)
class Assignment:
    """All that a worker needs: what to train, on what, and where results go.

    `data` are the opened corpora of all cohorts, by what states them, or a reference to these:
    their rows are many. `data_parallel` workers train one variant together.
    """

    study: str
    scale: str
    cohort: Cohort
    data: Any
    storage: str
    code_version: dict[str, str]
    threads: int
    data_parallel: int
    num_tasks: int
    checkpoint_seconds: float | None  # None: by what a checkpoint costs
    costs: Mapping[str, Cost]  # as planned, by the trial's key
    layout: str = ""  # in words
    task_cpus: float = 1.0  # of a core, that each data task asks for
    task_memory: float = 0.0  # bytes that it asks for at most, where nodes keep so many for one
    scaling: Scaling | None = Scaling()  # what an autoscaler may start; None where not known
    note: str = ""  # what the driver is to say when this one has begun
    on_cpu: bool = False  # whatever GPUs the workers hold
    device_memory: float = 0.0  # bytes of its device that each worker may use, where stated
    device_known: bool = True  # whether the driver knows what its device has, if it is a GPU
    since: str = ""  # the name of this start of the study
    kept: Kept | None = None  # a checkpoint of an earlier start to go on from
    retry_seconds: float = RETRY_SECONDS  # how long a failing request is repeated
    keep_weights: bool = True  # of a completed trial, beside its record
    # References to the packed assets of the members' views, by the asset's name.
    assets: Mapping[str, Any] = field(default_factory=dict)
    tests: tuple[OpenTest, ...] = ()  # that trials are scored on beside the held-out pairs
    validate_every: int = 0  # samples between evaluations while it trains; 0 for none
    part_of: str = ""  # the cohort that the driver knows, where this is a part of it
    turns: Any = None  # an actor (`driver/turns.py`), where several cohorts train at a time
    attempts: Mapping[str, int] = field(default_factory=dict)  # that failed at earlier starts
    retries: int = 0  # of this start, before this attempt

    @property
    def whole(self) -> str:
        """The id of the cohort that the driver knows."""
        return self.part_of or self.cohort.id

    def attempt_of(self, key: str) -> int:
        """The number of this attempt at a trial, the first being 1."""
        return 1 + self.attempts.get(key, 0) + self.retries

    @cached_property
    def corpus(self) -> OpenCorpus:
        """The rows to train on and to be tested on; fetched once in each process."""
        import ray

        opened: Mapping[Corpus, OpenCorpus] = (
            ray.get(self.data) if isinstance(self.data, ray.ObjectRef) else self.data
        )
        return opened[self.cohort.recipe.corpus]
