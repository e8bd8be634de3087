"""A study's runs in MLflow: one for the study, one for each trial, found again by their tags."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from seedbed.errors import TrackingError
from seedbed.study.cell import Cell
from seedbed.study.label import label_text
from seedbed.study.record import TrialRecord, Value, merged
from seedbed.track.ledger import File, Remote, StudyEntry, TrialEntry
from seedbed.track.mlflow.batches import constants, recipe_params, trackable
from seedbed.track.mlflow.connection import client, experiment_id
from seedbed.track.mlflow.tags import record_tags, trial_name, trial_tags
from seedbed.track.mlflow.trial_run import PARENT, RUN_STATUS, Run, digest_of, search
from seedbed.track.mlflow.view import note, view_tags
from seedbed.track.outbox import CurvePoint


class MlflowRuns:
    """The runs of one study in one experiment: the operations of a `Ledger`, but synchronous.

    `connect` makes the store's client, when it is first needed. Every method is idempotent, so it
    can be retried. Not thread-safe: one writer.
    """

    def __init__(
        self, uri: str, experiment: str, *, connect: Callable[[str], Any] = client
    ) -> None:
        self.uri, self.experiment, self.connect = uri, experiment, connect
        self.experiment_id = ""
        self._entry: StudyEntry | None = None
        self._study_run: Run | None = None
        self._trials: dict[str, Run] = {}
        self._varying: frozenset[str] = frozenset()  # the recipe's fields that the study varies

    def open_study(self, entry: StudyEntry) -> None:
        """Find or create the study's run, learn its trials, and end those left RUNNING."""
        self.experiment_id = experiment_id(self.uri, self.experiment)
        run = self._of_storage(entry)
        self._entry, self._study_run = entry, run
        self._varying = frozenset(path for trial in entry.design.trials for path in trial.recipe)
        run.set_params(constants(entry.params))
        plain = entry.design.to_json()
        digest = digest_of(plain)
        if run.tags.get("seedbed.design_digest") != digest:
            run.upload_json("design.json", plain)
        design = {"seedbed.design_digest": digest, "mlflow.note.content": note(entry)}
        run.tag(self._common_tags() | design)
        run.set_status("running")
        self._trials = {}
        for trial in self._search({PARENT: run.id, "seedbed.kind": "trial"}):
            # The oldest, should there ever be two.
            self._trials.setdefault(trial.tags.get("seedbed.trial_key", ""), trial)
            if trial.status == "RUNNING":
                trial.set_status("interrupted", "the driver ended before the trial")

    def _of_storage(self, entry: StudyEntry) -> Run:
        """The study's run for this results folder; an older version's run without a mark is taken.

        The same study in another folder is another run, with trials of its own: its driver may be
        at work, and neither may end, or write into, what is the other's.
        """
        identity = {"seedbed.study_run": entry.identity, "seedbed.kind": "study"}
        by_storage = {run.tags.get("seedbed.storage", ""): run for run in self._search(identity)}
        run = by_storage.get(entry.storage) or by_storage.get("")
        if run is None:
            tags = identity | ({"seedbed.storage": entry.storage} if entry.storage else {})
            run = self._created(f"{entry.study} {entry.scale}", tags)
        elif entry.storage:
            run.tag({"seedbed.storage": entry.storage})
        return run

    def open_view(self) -> None:
        """Keep the views of this study on the experiment, where its link finds it."""
        assert self._entry is not None
        for name, state in view_tags(self._entry, self._opened().id).items():
            self._mlflow.set_experiment_tag(self.experiment_id, name, state)

    def open_trial(self, entry: TrialEntry) -> None:
        """Find or create the trial's run and set it RUNNING."""
        self._supersede(entry.key, entry.data)
        run = self._trial(entry.key, entry.cell, entry.seed, entry.recipe)
        run.tag(
            self._common_tags()
            | trial_tags(entry.key, entry.cell, entry.seed, entry.cohort)
            | dict(entry.tags)
            | ({"seedbed.trial_data": entry.data} if entry.data else {})
        )
        run.keep_recipe(entry.recipe)
        run.set_status("running")

    def log_points(self, key: str, points: Sequence[CurvePoint]) -> None:
        """Log those values of `points` whose metric and step the trial's run does not have."""
        if key not in self._trials:
            raise TrackingError(
                f"trial {key} was never opened", why="it has no run", mend="call open_trial first"
            )
        self._trials[key].log_points(points)

    def finish(self, record: TrialRecord, files: Mapping[str, File], unix_ms: int) -> None:
        """Complete the run of `record`; nothing is sent when it is complete already.

        What is missing gets the time `unix_ms`: the same when called again, so that MLflow knows
        a value that arrived although its request failed. Raises TrackingError, with all else
        done, when one of `files` is not there.
        """
        self._supersede(record.key, record.data_fingerprint)
        there = {n: f for n, f in files.items() if isinstance(f, Remote) or f.is_file()}
        digest = digest_of([record.to_json(), {n: _size(f) for n, f in there.items()}])
        known = self._trials.get(record.key)
        done = known is not None and known.tags.get("seedbed.record_digest") == digest
        if known is None or not done or known.status != RUN_STATUS[record.status]:
            self._complete(record, there, digest, unix_ms)
        else:  # complete, but perhaps by a version that kept fewer params
            known.set_params(self._params(record.cell, record.seed, record.recipe))
        for name in files.keys() - there.keys():
            raise TrackingError(
                f"trial {record.key}: there is no file {files[name]}",
                why=f"it is the artifact {name}",
                mend="tell the record again when the file is there",
            )

    def _complete(
        self, record: TrialRecord, files: Mapping[str, File], digest: str, unix_ms: int
    ) -> None:
        run = self._trial(record.key, record.cell, record.seed, record.recipe)
        curve = merged(record.curve)
        run.log_points([CurvePoint(samples, unix_ms, curve[samples]) for samples in curve])
        run.log_finals(record.metrics, record.last_samples, unix_ms + 1)
        run.keep_recipe(record.recipe)
        run.upload_json("record.json", record.to_json())
        for name, path in files.items():
            run.upload(name, path)
        run.tag(trial_tags(record.key, record.cell, record.seed, record.cohort))
        run.tag(record_tags(record))
        run.set_status(record.status, record.reason)
        run.tag({"seedbed.record_digest": digest})  # last: it says that all of it is there

    def interrupt(self, key: str, reason: str) -> None:
        """End the trial's run as KILLED, when it is running."""
        run = self._trials.get(key)
        if run is not None and run.status == "RUNNING":
            run.set_status("interrupted", reason)

    def attach(self, files: Mapping[str, Path], analysis: str) -> None:
        """Upload files to the study's run, or to its child run `analysis`."""
        run = self._opened()
        if analysis:
            analysis = trackable(analysis)
            tags = {PARENT: run.id, "seedbed.kind": "analysis", "seedbed.analysis": analysis}
            run = self._found(tags) or self._created(f"analysis {analysis}", tags)
        for name, path in files.items():
            run.upload(name, path)
        if analysis:
            run.tag(self._common_tags())
            run.set_status("completed")

    def close(self) -> None:
        """End what runs, and the study's run: FINISHED only when every trial is completed."""
        run, entry = self._opened(), self._entry
        assert entry is not None
        for key in self._trials:
            self.interrupt(key, "the study was closed before the trial ended")
        statuses = [
            self._trials[key].tags.get("seedbed.status", "") if key in self._trials else ""
            for key in entry.planned or tuple(self._trials)
        ]
        num_completed = statuses.count("completed")
        status = "failed" if {"failed", "diverged"} & set(statuses) else "interrupted"
        if num_completed == len(statuses):
            status = "completed"
        run.set_status(status, f"{num_completed} of {len(statuses)} trials are completed")

    @cached_property
    def _mlflow(self) -> Any:
        return self.connect(self.uri)

    def _opened(self) -> Run:
        if self._study_run is None:
            raise TrackingError(
                "the study has no run", why="open_study failed or was not called", mend="call it"
            )
        return self._study_run

    def _trial(self, key: str, cell: Cell, seed: int, recipe: Mapping[str, Value]) -> Run:
        run = self._trials.get(key)
        if run is None:
            # A request that failed may have been carried out: look before making a second run.
            identity = {
                PARENT: self._opened().id,
                "seedbed.kind": "trial",
                "seedbed.trial_key": key,
            }
            run = self._found(identity) or self._created(
                trial_name(cell, seed), self._common_tags() | identity
            )
            self._trials[key] = run
        run.set_params(self._params(cell, seed, recipe))
        return run

    def _params(self, cell: Cell, seed: int, recipe: Mapping[str, Value]) -> dict[str, str]:
        """The recipe's fields, over them the factors' labels and the seed."""
        labels = {trackable(name): label_text(label) for name, label in cell.items()}
        return recipe_params(recipe, self._varying) | labels | {"seed": str(seed)}

    def _supersede(self, key: str, data: str) -> None:
        """Put the trial's run aside where its curve is that of other data than `data`.

        The trial has started again, and gets a new run.
        """
        known = self._trials.get(key)
        if data and known is not None and known.tags.get("seedbed.trial_data", data) != data:
            known.set_status("interrupted", "superseded: trained anew on other data")
            known.tag({"seedbed.kind": "superseded"})
            del self._trials[key]

    def _common_tags(self) -> dict[str, str]:
        entry = self._entry
        assert entry is not None
        return {"seedbed.study": entry.study, "seedbed.scale": entry.scale, **entry.tags}

    def _created(self, name: str, tags: Mapping[str, str]) -> Run:
        tags = {**tags, "seedbed.status": "running"}
        made = self._mlflow.create_run(self.experiment_id, run_name=name, tags=tags)
        return Run(self._mlflow, made.info.run_id, made.info.status, dict(tags), logged={})

    def _found(self, tags: Mapping[str, str]) -> Run | None:
        return next(self._search(tags), None)

    def _search(self, tags: Mapping[str, str]) -> Iterator[Run]:
        return search(self._mlflow, self.experiment_id, tags)


def _size(file: File) -> int:
    return file.num_bytes if isinstance(file, Remote) else file.stat().st_size
