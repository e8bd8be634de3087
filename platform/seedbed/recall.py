"""A study read back from MLflow, without its file and without its shards; a model, for use."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from seedbed.home import home

MAX_NAMED = 5  # trials in a message

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from seedbed.analyze.report.sections.learning_curves import CurveReader
    from seedbed.interchange.model import Model
    from seedbed.plan.design import Design
    from seedbed.study.record import TrialRecord
    from seedbed.study.study import Study


@dataclass(frozen=True)
class Recalled:
    """A study as MLflow knows it: its design, and one row for each planned trial."""

    design: Design
    trials: pd.DataFrame
    uri: str
    experiment: str
    identity: str
    storage: str = ""
    runs: dict[str, str] = field(default_factory=dict)  # by trial key, its run's id


def recall(
    name: str, *, scale: str = "", tracking_uri: str = "", identity: str = "", storage: str = ""
) -> Recalled:
    """The study `name`: its newest run, of `scale`, `identity` and `storage` where given.

    Raises TrackingError where there is none.
    """
    from seedbed.track.mlflow.address import default_tracking_uri
    from seedbed.track.mlflow.connection import find_experiment
    from seedbed.track.mlflow.reader import read_design, read_trials, run_marks

    uri = tracking_uri or default_tracking_uri(home())
    experiment = find_experiment(uri, name)
    # Both are read from one run: a newer one may be opened between the two requests.
    identity, storage = run_marks(uri, name, scale, identity=identity, storage=storage)
    design = read_design(uri, name, scale, identity=identity, storage=storage)
    tracked = read_trials(uri, name, scale, identity=identity, storage=storage)
    known = {metric.name for metric in design.metrics}
    added = {m.name: m for trial in tracked for m in trial.added if m.name not in known}
    design = replace(design, metrics=(*design.metrics, *added.values()))
    table = table_of(design, (trial.record for trial in tracked))
    runs = {trial.record.key: trial.run_id for trial in tracked}
    return Recalled(design, table, uri, experiment, identity, storage, runs)


def curves_of(recalled: Recalled) -> CurveReader:
    """What reads a trial's curve from its run: a request for each metric, when it is asked."""
    from seedbed.track.mlflow.reader import read_curve

    def read(key: str, names: Sequence[str]) -> list[dict[str, float]]:
        return read_curve(recalled.uri, recalled.runs[key], names) if key in recalled.runs else []

    return read


def correct_of(recalled: Recalled) -> dict[str, NDArray[np.bool_]]:
    """Which test examples each completed trial got right, by the artifacts of its run."""
    from seedbed.analyze.trials.per_example import correct_by_trial

    done = recalled.trials.loc[recalled.trials["status"] == "completed", "key"]
    return correct_by_trial(
        done,
        recalled.design.metric(recalled.design.responses[0]),
        _artifacts(recalled),
    )


def with_bad_samples_of(recalled: Recalled) -> Design:
    """The design, with the bad samples that the artifacts of its trials name."""
    from seedbed.analyze.report.sections.bad_samples import FILE_NAME, with_bad_samples

    read = _artifacts(recalled)
    return with_bad_samples(recalled.design, recalled.trials, lambda key: read(key, FILE_NAME))


def _artifacts(recalled: Recalled) -> Callable[[str, str], bytes | None]:
    """Reads an artifact of a trial's run, by the trial's key and the artifact's name, or None."""
    from seedbed.errors import TrackingError
    from seedbed.track.mlflow.reader import read_artifact

    def read(key: str, name: str) -> bytes | None:
        try:
            return read_artifact(
                recalled.uri,
                recalled.design.study,
                key,
                name,
                identity=recalled.identity,
                storage=recalled.storage,
            )
        except TrackingError:
            return None

    return read


def results(
    study: Study, *, scale: str = "", tracking_uri: str = "", name: str = ""
) -> pd.DataFrame:
    """One row for each planned trial of `study`, as MLflow has them: for notebooks.

    Of the newest run, at `scale` where it is given, or of the run that `--name` has given a `name`
    of its own; columns as in `seedbed.analyze`. Raises TrackingError where the study has not run.
    """
    return recall(name or study.name, scale=scale, tracking_uri=tracking_uri).trials


def table_of(design: Design, records: Iterable[TrialRecord]) -> pd.DataFrame:
    """The trials table of those of `records` that are planned.

    Raises StudyError where they were scored on different pictures.
    """
    from seedbed.analyze.trials.table import trials_table

    keys = {trial.key for trial in design.trials}
    planned = [record for record in records if record.key in keys]
    check_scored_alike(planned)
    return trials_table(design, planned)


def check_scored_alike(records: Iterable[TrialRecord]) -> None:
    """Raise StudyError where completed trials were scored on different pictures or names.

    A record of an older version does not say on which.
    """
    from seedbed.errors import StudyError

    groups: dict[str, list[str]] = {}
    tests: dict[str, dict[str, list[str]]] = {}
    for record in records:
        if record.status == "completed" and record.test_digest:
            groups.setdefault(record.test_digest, []).append(record.key)
        for name, said in record.tests.items():
            mark = json.dumps(said, sort_keys=True)
            tests.setdefault(name, {}).setdefault(mark, []).append(record.key)
    for name, by_mark in tests.items():
        if len(by_mark) > 1:
            few = min(by_mark.values(), key=len)
            raise StudyError(
                f"trials were scored on different test sets by the name '{name}': {len(few):,} on "
                f"another one than most, as {few[0]}",
                why="its pictures, class names or templates have changed between them",
                mend="give the other one a name of its own, or remove the folders trials/KEY of "
                "those few from the results, and give the same command again",
            )
    if len(groups) < 2:
        return
    largest, *others = sorted(groups.values(), key=len, reverse=True)
    keys = sorted(key for group in others for key in group)
    named = ", ".join(keys[:MAX_NAMED]) + (", …" if len(keys) > MAX_NAMED else "")
    raise StudyError(
        f"trials were scored on different pictures: {len(largest):,} of them on those of "
        f"{largest[0]}, and {len(keys):,} on others: {named}",
        why="a held-out picture could be read for some and not for others (bad_samples.parquet "
        "beside their records names it), and some pictures are easier",
        mend="restore the held-out shards, remove the folders trials/KEY of those others from the "
        "results, and give the same command again",
    )


def load(said: str | Path, *, storage: str = "", study: str = "", tracking_uri: str = "") -> Model:
    """A trained model, for use: `encode_images`, `encode_texts`, `classify`.

    `said` is a folder in open_clip's layout, as `seedbed export` writes it, or
    `open_clip:MODEL@PRETRAINED`; a trial's part of a checkpoint, `variant-KEY.safetensors`; a
    finished trial by its key, the beginning of one, its name, its folder or the id of its run in
    MLflow. Trials are looked for in `storage`, as in `export`.
    Raises StudyError where there is none, and DataError where its weights are not whole.
    """
    from seedbed.interchange.found import find_trial
    from seedbed.interchange.loading import (
        is_checkpoint,
        is_export,
        model_of_checkpoint,
        model_of_export,
        model_of_trial,
    )

    said = str(said)
    if is_checkpoint(said):
        return model_of_checkpoint(said)
    if is_export(said):
        return model_of_export(said)
    if re.fullmatch(r"[0-9a-f]{32}", said):
        from seedbed.track.mlflow.address import default_tracking_uri
        from seedbed.track.mlflow.reader import trial_of_run

        said, place = trial_of_run(tracking_uri or default_tracking_uri(home()), said)
        return model_of_trial(find_trial(said, storage or place, study))
    return model_of_trial(find_trial(said, storage or results_folder(), study))


def results_folder() -> str:
    """Where the studies' results are, if nothing else is said."""
    return os.environ.get("SEEDBED_STORAGE") or str(home() / "results")
