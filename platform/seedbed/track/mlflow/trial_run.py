"""One run in MLflow: finds it, and writes to it idempotently."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seedbed.study.record import Value
from seedbed.track.ledger import File, Remote
from seedbed.track.mlflow.batches import send_metrics, send_params, send_tags, trackable
from seedbed.track.outbox import CurvePoint

PARENT = "mlflow.parentRunId"

# MLflow's run status for each of ours; a trial that neither completed nor broke was KILLED.
RUN_STATUS = {
    "running": "RUNNING",
    "completed": "FINISHED",
    "diverged": "FAILED",
    "failed": "FAILED",
    "never_started": "KILLED",
    "interrupted": "KILLED",
}


@dataclass
class Run:
    """A run as we know it, and its store.

    `metrics` are the latest values when it was found; `logged` is {(metric, samples): value},
    None until it is asked for.
    """

    mlflow: Any
    id: str
    status: str = "RUNNING"
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    logged: dict[tuple[str, int], float] | None = None

    def tag(self, tags: Mapping[str, str]) -> None:
        """Set the tags that differ."""
        new = {name: value for name, value in tags.items() if self.tags.get(name) != value}
        send_tags(self.mlflow, self.id, new)
        self.tags.update(new)

    def set_params(self, params: Mapping[str, str]) -> None:
        """Log the params that the run has no value for: MLflow never changes one."""
        new = {name: value for name, value in params.items() if name not in self.params}
        send_params(self.mlflow, self.id, new)
        self.params.update(new)

    def set_status(self, status: str, reason: str = "") -> None:
        """Set one of RUN_STATUS, as a tag and as MLflow's own."""
        self.tag({"seedbed.status": status, "seedbed.reason": reason})
        wanted = RUN_STATUS[status]
        if self.status == wanted:
            return
        if wanted == "RUNNING":
            self.mlflow.update_run(self.id, status=wanted)
        else:
            self.mlflow.set_terminated(self.id, status=wanted)
        self.status = wanted

    def log_points(self, points: Sequence[CurvePoint]) -> None:
        """Log those values of `points` whose metric and step the run does not have."""
        logged = self._logged()
        new: dict[tuple[str, int], tuple[float, int]] = {}
        for point in points:
            for name, value in point.metrics.items():
                step = (trackable(name), point.samples)
                if step not in logged:
                    new.setdefault(step, (value, point.unix_ms))
        self._send(new)

    def log_finals(self, metrics: Mapping[str, float], samples: int, unix_ms: int) -> None:
        """Make `metrics` the values that MLflow shows: those of the largest step.

        Of two values of one step it shows the later, so `unix_ms` is after every point's.
        """
        logged = self._logged()
        last: dict[str, int] = {}
        for name, step in logged:
            last[name] = max(step, last.get(name, 0))
        new: dict[tuple[str, int], tuple[float, int]] = {}
        for name, value in metrics.items():
            key = (trackable(name), max(samples, last.get(trackable(name), 0)))
            if logged.get(key) != value:
                new[key] = (value, unix_ms)
        self._send(new)

    def upload(self, name: str, file: File) -> None:
        """Keep `file` as the artifact `name` (`examples/imagenet.parquet`)."""
        folder, _, base = name.rpartition("/")
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / base  # MLflow names an artifact by its local file
            if isinstance(file, Remote):
                path.write_bytes(file.read())
            elif file.name != base:
                shutil.copyfile(file, path)
            else:
                path = file
            self.mlflow.log_artifact(self.id, str(path), folder or None)

    def upload_json(self, name: str, values: Any) -> None:
        """Keep `values` as the artifact `name`."""
        self.mlflow.log_text(self.id, json.dumps(values, indent=1, default=str), name)

    def keep_recipe(self, recipe: Mapping[str, Value]) -> None:
        """Keep the trial's recipe as an artifact, where it is not there yet."""
        digest = digest_of(recipe)
        if recipe and self.tags.get("seedbed.recipe_digest") != digest:
            self.upload_json("recipe.json", recipe)
            self.tag({"seedbed.recipe_digest": digest})

    def _logged(self) -> dict[tuple[str, int], float]:
        """What the run holds, asked for once: MLflow keeps a step that is logged again twice."""
        if self.logged is None:
            names = list(self.mlflow.get_run(self.id).data.metrics)
            self.logged = {
                (name, point.step): point.value
                for name in names
                for point in self.mlflow.get_metric_history(self.id, name)
            }
        return self.logged

    def _send(self, new: Mapping[tuple[str, int], tuple[float, int]]) -> None:
        rows = [(name, value, ms, step) for (name, step), (value, ms) in new.items()]
        try:
            send_metrics(self.mlflow, self.id, rows)
        except BaseException:
            self.logged = None  # some of it may have arrived: ask again
            raise
        self._logged().update({key: value for key, (value, _) in new.items()})


def digest_of(values: Any) -> str:
    """What tells `values`, as JSON, from others."""
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def search(mlflow: Any, experiment: str, tags: Mapping[str, str]) -> Iterator[Run]:
    """The runs of an experiment that have all `tags`, oldest first."""
    where = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    token = None
    while True:
        page = mlflow.search_runs(
            [experiment],
            where,
            max_results=1000,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        for run in page:
            data = run.data
            yield Run(
                mlflow,
                run.info.run_id,
                run.info.status,
                dict(data.tags),
                # Thousands of runs hold the same names and mostly the same values: kept once.
                {sys.intern(name): sys.intern(value) for name, value in data.params.items()},
                dict(data.metrics),
            )
        token = page.token
        if not token:
            return
