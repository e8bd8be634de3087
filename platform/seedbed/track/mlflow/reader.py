"""A study read back from MLflow alone: its design and its trials, with exact numbers."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedbed.errors import TrackingError, first_line, nearest
from seedbed.metric import Metric
from seedbed.plan.design import Design
from seedbed.study.record import TrialRecord
from seedbed.track.mlflow.added import added_metrics
from seedbed.track.mlflow.address import redacted
from seedbed.track.mlflow.batches import MAX_TAG_LENGTH, trackable
from seedbed.track.mlflow.connection import client, find_experiment
from seedbed.track.mlflow.tags import TEST
from seedbed.track.mlflow.trial_run import PARENT, Run, search


def read_design(
    uri: str, study: str, scale: str, *, identity: str = "", storage: str = ""
) -> Design:
    """The design of a study as it was last opened.

    "" is any scale. Of several (other data, other overrides, another results folder) the newest,
    or the one whose `StudyEntry.identity` and `StudyEntry.storage` are given. Raises
    TrackingError when there is none, or when its file cannot be read.
    """
    run = _study_run(uri, study, scale, identity, storage)
    return Design.from_json(_json_artifact(run, "design.json"))


def run_marks(
    uri: str, study: str, scale: str, *, identity: str = "", storage: str = ""
) -> tuple[str, str]:
    """The `StudyEntry.identity` and `.storage` of the newest run of `study` that fits."""
    tags = _study_run(uri, study, scale, identity, storage).tags
    return tags.get("seedbed.study_run", ""), tags.get("seedbed.storage", "")


def trial_of_run(uri: str, run_id: str) -> tuple[str, str]:
    """The key of the trial that a run is of, and where its study's results are."""
    try:
        tags = client(uri).get_run(run_id).data.tags
    except Exception as error:
        raise TrackingError(
            f"there is no run '{run_id}' at {redacted(uri)}",
            why=redacted(first_line(error)),
            mend="check the id, or give the --tracking-uri (MLFLOW_TRACKING_URI) it ran with",
        ) from None
    if "seedbed.trial_key" not in tags:
        raise TrackingError(
            f"the run '{run_id}' is of no trial",
            why="only a trial has weights: this is a study's run, or another program's",
            mend="open the study's run in MLflow, and take the id of a run below it",
        )
    return tags["seedbed.trial_key"], tags.get("seedbed.results", "").rpartition("/")[0]


@dataclass(frozen=True)
class TrackedTrial:
    """A trial as MLflow knows it, and the id of its run.

    The record has no `curve` and no `recipe`; its `metrics` are the finals, exact. A trial that
    still runs has not ended: its status is interrupted, for the reason "running".
    """

    record: TrialRecord
    run_id: str
    added: tuple[Metric, ...] = ()  # what was measured after it had ended


def read_trials(
    uri: str, study: str, scale: str, *, identity: str = "", storage: str = ""
) -> list[TrackedTrial]:
    """The study's trials as far as MLflow knows them, in the order in which they began."""
    study_run = _study_run(uri, study, scale, identity, storage)
    experiment = study_run.mlflow.get_run(study_run.id).info.experiment_id
    wanted = {PARENT: study_run.id, "seedbed.kind": "trial"}
    trials: dict[str, TrackedTrial] = {}
    for run in search(study_run.mlflow, experiment, wanted):
        trials.setdefault(run.tags.get("seedbed.trial_key", ""), _tracked(run))
    return list(trials.values())


def read_curve(uri: str, run_id: str, names: Sequence[str]) -> list[dict[str, float]]:
    """The curve of a trial's run in `names`: points {"samples": n, metric: value} by samples.

    One request for each name. Of two values of one step the later counts.
    """
    mlflow = client(uri)
    points: dict[int, dict[str, float]] = {}
    for name in names:
        history = mlflow.get_metric_history(run_id, trackable(name))
        for point in sorted(history, key=lambda point: (point.step, point.timestamp)):
            points.setdefault(point.step, {})[name] = point.value
    return [{"samples": samples, **values} for samples, values in sorted(points.items())]


def read_artifact(
    uri: str, study: str, key: str, name: str, *, identity: str = "", storage: str = ""
) -> bytes:
    """The file `name` (`examples/imagenet.parquet`) among the artifacts of the trial `key`.

    Of several runs of that trial (at two scales, say) the newest that has it, or the one of the
    study with `identity` and `storage`. Raises TrackingError when none has.
    """
    mlflow, experiment = _experiment(uri, study)
    wanted = {"seedbed.kind": "trial", "seedbed.trial_key": key}
    if identity:
        wanted[PARENT] = _study_run(uri, study, "", identity, storage).id
    runs = list(search(mlflow, experiment, wanted))
    for run in reversed(runs):
        folder = name.rpartition("/")[0]
        if any(file.path == name for file in mlflow.list_artifacts(run.id, folder or None)):
            return _artifact(run, name)
    raise TrackingError(
        f"trial {key} of study {study} has no artifact '{name}' at {redacted(uri)}",
        why=f"{len(runs)} runs have that key" if runs else "no run has that key",
        mend="look at the run's artifacts in MLflow" if runs else "check the key",
    )


def _experiment(uri: str, study: str) -> tuple[Any, str]:
    experiment = find_experiment(uri, study)
    return client(uri), experiment


def _study_run(uri: str, study: str, scale: str, identity: str, storage: str) -> Run:
    mlflow, experiment = _experiment(uri, study)
    runs = list(search(mlflow, experiment, {"seedbed.kind": "study"}))
    wanted = [
        run
        for run in runs
        if scale in ("", run.tags.get("seedbed.scale"))
        and identity in ("", run.tags.get("seedbed.study_run"))
        # Runs without a mark are of an older version, which did not tell results folders apart.
        and (not storage or run.tags.get("seedbed.storage", "") in ("", storage))
    ]
    if not wanted:
        asked = f"study '{study}' at scale '{scale}'" + (f" ({identity})" if identity else "")
        scales = {run.tags.get("seedbed.scale", "") for run in runs}
        other = scale in scales  # then it is the identity that differs
        raise TrackingError(
            f"{asked} has no run at {redacted(uri)}",
            why="it ran there with other data, seeds, settings or --storage only"
            if other
            else "nothing of it was ever tracked there",
            mend="give the --data, --seeds, --set and --storage it ran with, or run it with these"
            if other
            else nearest(scale, scales)
            if scales
            else "run the study first",
        )
    return wanted[-1]


def _tracked(run: Run) -> TrackedTrial:
    return TrackedTrial(_record(run), run.id, added_metrics(run.tags))


def _record(run: Run) -> TrialRecord:
    tags = run.tags
    status, reason = tags.get("seedbed.status", ""), tags.get("seedbed.reason", "")
    if status in ("running", "interrupted"):
        status, reason = "interrupted", reason or status
    fields = {
        "key": tags.get("seedbed.trial_key", ""),
        "study": tags.get("seedbed.study", ""),
        "scale": tags.get("seedbed.scale", ""),
        "cell": json.loads(tags.get("seedbed.cell", "{}")),
        "seed": int(tags.get("seedbed.seed", "0")),
        "cohort": tags.get("seedbed.cohort", ""),
        "status": status,
        "reason": reason,
        "metrics": _finals(run),
        "order_hash": tags.get("seedbed.order_hash", ""),
        "data_fingerprint": tags.get("seedbed.data_fingerprint", ""),
        "test_digest": tags.get("seedbed.test_digest", ""),
        "recipe_key": tags.get("seedbed.recipe_key", ""),
        "order_schema": int(tags.get("seedbed.order_schema", "1")),
        "made_by": tags.get("seedbed.made_by", ""),
        "layout": tags.get("seedbed.layout", ""),
        "failure": tags.get("seedbed.failure", "") if status == "failed" else "",
        "attempt": int(tags.get("seedbed.attempt", "1")),
        "origin": tags.get("seedbed.origin", ""),
        "code_version": json.loads(tags.get("seedbed.code_version", "{}")),
        "missing_metrics": json.loads(tags.get("seedbed.missing_metrics", "[]")),
        "tests": {
            name.removeprefix(TEST): json.loads(said)
            for name, said in tags.items()
            if name.startswith(TEST)
        },
    }
    return TrialRecord.from_json(fields)


def _finals(run: Run) -> dict[str, float]:
    """The finals among the run's metrics; of a curve's metrics MLflow also shows the last."""
    names = run.tags.get("seedbed.finals", "[]")
    if len(names) >= MAX_TAG_LENGTH:  # cut short: too many for a tag
        return dict(_json_artifact(run, "record.json")["metrics"])
    return {name: run.metrics[name] for name in json.loads(names) if name in run.metrics}


def _artifact(run: Run, name: str) -> bytes:
    # Without a folder given, MLflow does not remove the files that it downloads.
    with tempfile.TemporaryDirectory() as scratch:
        return Path(run.mlflow.download_artifacts(run.id, name, scratch)).read_bytes()


def _json_artifact(run: Run, name: str) -> dict[str, Any]:
    try:
        return dict(json.loads(_artifact(run, name)))
    except Exception as error:
        raise TrackingError(
            f"the file {name} of run {run.id} cannot be read",
            why=redacted(first_line(error)),
            mend="read from where the artifact store can be reached, or run the study again",
        ) from None
