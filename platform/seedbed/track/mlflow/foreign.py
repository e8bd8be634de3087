"""Runs of any trainer in an MLflow experiment, as plain rows."""

from __future__ import annotations

import gc
from typing import Any

from seedbed.errors import TrackingError
from seedbed.track.mlflow.connection import client, find_experiment

PAGE = 1_000  # runs a request: MLflow's server gives no more than 50,000


def runs_of(experiment: str, uri: str) -> list[dict[str, Any]]:
    """A row for each run that is not deleted: `params.NAME` as text, `metrics.NAME` (its last
    value), `tags.NAME` without MLflow's own, `run_id`, `run_name` and `run_status`.

    Raises TrackingError for an experiment that does not exist, or has no run.
    """
    mlflow, number = client(uri), find_experiment(uri, experiment)
    rows: list[dict[str, Any]] = []
    token: str | None = None
    while True:
        page = _page(mlflow, number, token)
        rows += [_row(run) for run in page]
        token = page.token
        if not token:
            break
    if not rows:
        raise TrackingError(
            f"the experiment '{experiment}' has no run",
            why="there is nothing to analyse",
            mend="name another: `seedbed analyze mlflow:EXPERIMENT`",
        )
    return rows


def _page(mlflow: Any, experiment: str, token: str | None) -> Any:
    """Some runs, the oldest first: a factor's first level is the one that was run first."""
    collects = gc.isenabled()
    # A run is dozens of objects, all of which live until its page is read: to look through them
    # for garbage, again and again while they are made, takes a third of the time.
    gc.disable()
    try:
        return mlflow.search_runs(
            [experiment],
            max_results=PAGE,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
    finally:
        if collects:
            gc.enable()


def _row(run: Any) -> dict[str, Any]:
    data, info = run.data, run.info
    own = {f"tags.{name}": value for name, value in data.tags.items() if "mlflow." not in name}
    return {
        "run_id": info.run_id,
        "run_name": info.run_name,
        "run_status": info.status,
        **{f"params.{name}": value for name, value in data.params.items()},
        **{f"metrics.{name}": value for name, value in data.metrics.items()},
        **own,
    }
