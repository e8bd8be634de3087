"""Results of models on test sets, whoever has trained them: a run each, in one experiment."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seedbed.errors import TrackingError, first_line
from seedbed.track.mlflow.address import redacted
from seedbed.track.mlflow.connection import check_tracking, client, experiment_id
from seedbed.track.mlflow.trial_run import Run, digest_of, search

EXPERIMENT = "seedbed_evaluations"
SAME = "seedbed.evaluation"  # a digest of what was measured, and how


def keep_result(uri: str, result: Mapping[str, Any], files: Mapping[str, Path]) -> str:
    """Keep a result in clip_benchmark's form, and `files` beside it, in MLflow at `uri`.

    The same model, measured again in the same way, replaces what was there. Returns the run's id;
    raises TrackingError where MLflow cannot be reached or refuses.
    """
    check_tracking(uri)
    try:
        return _kept(uri, result, files)
    except Exception as error:
        raise TrackingError(
            f"the result of {result['model']} on {result['dataset']} could not be kept at "
            f"{redacted(uri)}",
            why=redacted(first_line(error)),
            mend="mend the server and give the command again, or keep results with --out DIR "
            "--untracked",
        ) from error


def _kept(uri: str, result: Mapping[str, Any], files: Mapping[str, Path]) -> str:
    mlflow, experiment = client(uri), experiment_id(uri, EXPERIMENT)
    named = {name: str(result[name]) for name in ("model", "pretrained", "dataset", "task")}
    same = digest_of([named, result["protocol"]])
    run = next(search(mlflow, experiment, {SAME: same}), None)
    if run is None:
        tags = {
            SAME: same,
            "seedbed.kind": "evaluation",
            "mlflow.runName": f"{named['model']} on {named['dataset']}, {named['task']}",
        }
        made = mlflow.create_run(experiment, tags=tags)
        run = Run(mlflow, made.info.run_id, made.info.status, dict(made.data.tags))
    protocol = {f"protocol.{name}": str(value) for name, value in result["protocol"].items()}
    run.set_params({name: value for name, value in (named | protocol).items() if value})
    chance = {f"chance/{name}": value for name, value in result["chance"].items()}
    counts = {f"n/{name}": float(n) for name, n in result["n_of"].items()}
    run.log_finals({**result["metrics"], **chance, **counts}, 0, int(time.time() * 1000))
    run.upload_json("result.json", result)
    for name, file in files.items():
        run.upload(name, file)
    run.set_status("completed")
    return run.id
