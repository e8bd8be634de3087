"""Results that come to a trial's run after it has ended."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence

from seedbed.errors import TrackingError, first_line
from seedbed.metric import Metric
from seedbed.study.record import TrialRecord
from seedbed.track.ledger import File
from seedbed.track.mlflow.address import redacted
from seedbed.track.mlflow.connection import client
from seedbed.track.mlflow.tags import record_tags
from seedbed.track.mlflow.trial_run import Run

# And the name of what it was measured on: a tag each, for one holds a few metrics.
ADDED = "seedbed.added."


def add_results(
    uri: str,
    run_id: str,
    record: TrialRecord,
    name: str,
    metrics: Sequence[Metric],
    files: Mapping[str, File],
) -> None:
    """Log what `record` has of `metrics`, which were measured on `name`, and what they mean.

    What was added before is replaced; `files` are kept beside the run's own. Raises TrackingError
    where MLflow refuses.
    """
    mlflow = client(uri)
    try:
        found = mlflow.get_run(run_id)
        run = Run(mlflow, run_id, found.info.status, dict(found.data.tags))
        values = {m.name: record.metrics[m.name] for m in metrics if m.name in record.metrics}
        run.log_finals(values, record.last_samples, int(time.time() * 1000))
        run.upload_json("record.json", record.to_json())
        for path, file in files.items():
            run.upload(path, file)
        run.tag({f"{ADDED}{name}": json.dumps([metric.to_json() for metric in metrics])})
        run.tag(record_tags(record))
    except Exception as error:
        raise TrackingError(
            f"the results of the run {run_id} could not be added at {redacted(uri)}",
            why=redacted(first_line(error)),
            mend="the files beside the trials have them: give the same command again",
        ) from error


def added_metrics(tags: Mapping[str, str]) -> tuple[Metric, ...]:
    """What was added to the run with these tags."""
    said = [json.loads(value) for key, value in tags.items() if key.startswith(ADDED)]
    return tuple(Metric.from_json(one) for some in said for one in some)
