"""Results that come to a trial's run after it has ended."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence

from seedbed.errors import TrackingError
from seedbed.metric import Metric
from seedbed.track.mlflow.address import redacted
from seedbed.track.mlflow.batches import MAX_TAG_LENGTH, send_metrics, trackable
from seedbed.track.mlflow.connection import client

FINALS, METRICS = "seedbed.finals", "seedbed.added_metrics"


def add_results(
    uri: str, run_id: str, values: Mapping[str, float], metrics: Sequence[Metric]
) -> None:
    """Log `values` beside a run's finals, and what they mean; what was added before is replaced.

    Raises TrackingError where MLflow refuses, and for more names than a tag holds.
    """
    mlflow = client(uri)
    try:
        run = mlflow.get_run(run_id)
        finals = json.loads(run.data.tags.get(FINALS, "[]"))
        known = {one["name"]: one for one in json.loads(run.data.tags.get(METRICS, "[]"))}
        known |= {metric.name: metric.to_json() for metric in metrics}
        names = json.dumps(list(dict.fromkeys([*finals, *map(trackable, values)])))
        said = json.dumps(list(known.values()))
        if max(len(names), len(said)) >= MAX_TAG_LENGTH:
            raise TrackingError(
                f"the run {run_id} has {len(known)} results that were added to it",
                why=f"MLflow keeps {MAX_TAG_LENGTH} letters of the tag that names them",
                mend="evaluate fewer test sets of a study; their files have the numbers",
            )
        at = int(time.time() * 1000)
        points = [(trackable(name), value, at, 0) for name, value in values.items()]
        send_metrics(mlflow, run_id, points)
        mlflow.set_tag(run_id, METRICS, said)
        mlflow.set_tag(run_id, FINALS, names)
    except TrackingError:
        raise
    except Exception as error:
        raise TrackingError(
            f"the results of the run {run_id} could not be added at {redacted(uri)}",
            why=redacted(str(error)).splitlines()[0],
            mend="the files beside the trials have them: give the same command again",
        ) from error
