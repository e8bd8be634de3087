"""Names and tags of a trial's run."""

from __future__ import annotations

import json

from seedbed.study.cell import Cell
from seedbed.study.label import label_text
from seedbed.study.record import TrialRecord
from seedbed.track.mlflow.batches import trackable

TEST = "seedbed.test."  # and a test set's name: a tag each, for one holds the protocols of a few


def trial_name(cell: Cell, seed: int) -> str:
    """`depth=3 sup=clip s=0`, short factors first: MLflow's column shows about 20 characters."""
    parts = sorted((f"{name}={label_text(label)}" for name, label in cell.items()), key=len)
    return " ".join([*parts, f"s={seed}"])


def trial_tags(key: str, cell: Cell, seed: int, cohort: str) -> dict[str, str]:
    """By which a trial's run is found again."""
    return {
        "seedbed.trial_key": key,
        "seedbed.cell": json.dumps(cell.to_json()),
        "seedbed.seed": str(seed),
        "seedbed.cohort": cohort,
    }


def record_tags(record: TrialRecord) -> dict[str, str]:
    """What is known of a trial when it has ended."""
    tags = {
        "seedbed.study": record.study,
        "seedbed.scale": record.scale,
        "seedbed.order_hash": record.order_hash,
        "seedbed.data_fingerprint": record.data_fingerprint,
        "seedbed.test_digest": record.test_digest,
        "seedbed.recipe_key": record.recipe_key,
        "seedbed.order_schema": str(record.order_schema),
        "seedbed.made_by": record.made_by,
        "seedbed.layout": record.layout,
        "seedbed.role": record.role,
        "seedbed.failure": record.failure,
        "seedbed.attempt": str(record.attempt) if record.attempt > 1 else "",
        "seedbed.origin": record.origin,
        "seedbed.code_version": json.dumps(dict(record.code_version)),
        "seedbed.finals": json.dumps([trackable(name) for name in record.metrics]),
        "seedbed.missing_metrics": json.dumps(list(record.missing_metrics)),
        **{f"{TEST}{name}": json.dumps(said) for name, said in record.tests.items()},
        "mlflow.source.git.commit": record.code_version.get("git_commit") or "",
    }
    return {name: value for name, value in tags.items() if value}
