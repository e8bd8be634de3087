"""Oracle: what MLflow itself returns from a real sqlite store, read by its own client."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from conftest_types import World

from ablate.track.mlflow_ledger import MlflowLedger
from ablate.track.mlflow_runs import MlflowRuns
from ablate.track.record import STATUSES


def told(world: World) -> dict[str, Any]:
    """The store after an untroubled study."""
    ledger = world.ledger()
    world.tell_all(ledger)
    assert not ledger.close(60)
    return world.snapshot()
