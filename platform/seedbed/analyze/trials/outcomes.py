"""What became of runs that another tracker recorded: which of them ended as they should have."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

import pandas as pd

from seedbed.study.record import STATUSES, Status

# The columns that say it: MLflow's as `runs_of` names it, that of W&B's exports, this package's.
COLUMNS = ("run_status", "State", "status")
ENDED = frozenset({"finished", "completed"})
# Run states of MLflow (RunStatus) and of W&B (docs.wandb.ai, "Run states"), beside STATUSES.
NOT_ENDED = frozenset(
    {"running", "scheduled", "killed", "crashed", "pending", "preempting", "preempted", "queued"}
)


def outcome_column(table: pd.DataFrame, named: Collection[str] = ()) -> str:
    """The column of `table` that says how each run ended, "" where none does in known words. One
    that is `named` as a factor, a block or a response means something else."""
    known = ENDED | NOT_ENDED | set(STATUSES)
    for name in [own for own in COLUMNS if own in table.columns and own not in named]:
        if set(table[name].astype(str).str.lower()) <= known:
            return name
    return ""


def outcomes(table: pd.DataFrame, named: Collection[str] = ()) -> list[tuple[Status, str]]:
    """The status and its reason for each row: what a run logged last before it was killed, or has
    reached while it still trains, is no result."""
    column = outcome_column(table, named)
    if not column:
        return [("completed", "")] * len(table)
    return [_outcome(str(said), column) for said in table[column]]


def _outcome(said: str, column: str) -> tuple[Status, str]:
    word = said.lower()
    if word in ENDED:
        return "completed", ""
    status = cast(Status, word) if word in STATUSES else "failed"
    return status, f"its {column} is {said}"
