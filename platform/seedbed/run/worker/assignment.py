"""What the driver gives a worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seedbed.data.opening import OpenCorpus
from seedbed.plan.cost import Cost
from seedbed.plan.plan import Cohort
from seedbed.run.worker.checkpoint import Kept
from seedbed.storage.retry import RETRY_SECONDS


@dataclass(frozen=True)
class Assignment:
    """All that a worker needs: what to train, on what, and where results go."""

    study: str
    scale: str
    cohort: Cohort
    run: str  # the name of its Ray Train run
    corpus: OpenCorpus
    storage: str
    code_version: dict[str, str]
    threads: int
    num_tasks: int
    checkpoint_seconds: float
    costs: Mapping[str, Cost]  # as planned, by the trial's key
    kept: Kept | None = None  # a checkpoint of an earlier start to go on from
    retry_seconds: float = RETRY_SECONDS  # how long a failing request is repeated
    # References to the packed assets of the members' views, by the asset's name.
    assets: Mapping[str, Any] = field(default_factory=dict)
