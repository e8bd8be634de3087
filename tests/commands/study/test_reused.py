"""A study all of whose trials another one has finished, by its command. Oracle: those records."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient
from tests.fixtures.pretending import Told

from seedbed import Factor, Recipe, Study, main
from seedbed.commands.study.options import options_of
from seedbed.data.opening import open_corpora
from seedbed.data.order import ORDER_SCHEMA
from seedbed.home import home as home_folder
from seedbed.interchange.found import find_trial
from seedbed.storage.folder import Folder
from seedbed.study.record import TrialRecord
from seedbed.track.finished import finished_elsewhere, note_finished
from seedbed.variants import CLIP

RESPONSE = "zeroshot/top1_of_100"
pytestmark = pytest.mark.slow


def depths(name: str) -> Study:
    return Study(
        name=name,
        question="Does depth matter?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("depth", at="text.layers", levels=(1, 2)),),
        responses=(RESPONSE,),
    )


def test_it_trains_nothing_starts_no_ray_and_says_where_its_trials_are_from(
    home: Path,
    shapes: Path,
    tmp_path: Path,
    told: Told,
    capsys: pytest.CaptureFixture[str],
) -> None:
    storage, uri = str(tmp_path / "results"), f"sqlite:///{tmp_path / 'mlflow.db'}"
    given = [
        "--scale",
        "smoke",
        "--seeds",
        "2",
        "--data",
        str(shapes),
        "--set",
        "budget.samples=640",
    ]
    given += ["--storage", storage, "--tracking-uri", uri]
    plan = options_of(depths("first"), given).plan
    corpus = plan.trials[0].recipe.corpus
    fingerprint = open_corpora([corpus], home_folder())[corpus].fingerprint
    values = {trial.key: 0.1 * n + 0.02 * trial.seed for n, trial in enumerate(plan.trials, 1)}
    first = Folder(storage).sub("first")
    for trial in plan.trials:
        record = TrialRecord(
            key=trial.key, study="first", scale="smoke", cell=trial.cell, seed=trial.seed,
            cohort="c", status="completed", metrics={RESPONSE: values[trial.key]},
            data_fingerprint=fingerprint, order_schema=ORDER_SCHEMA, recipe_key=trial.key,
        )  # fmt: skip
        first.write_json(record.to_json(), "trials", trial.key, "record.json")
    note_finished(Folder(storage), "first", values)
    with pytest.raises(SystemExit) as ended:
        main(depths("second"), given)
    said = capsys.readouterr()
    assert ended.value.code == 0, said.err
    assert "reused  4 trials from first" in said.err
    assert "ray     " not in said.err
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("second")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.`seedbed.kind` = 'trial'")
    found = {r.data.tags["seedbed.trial_key"]: r.data.metrics[RESPONSE] for r in runs}
    assert found == pytest.approx(values)
    assert {run.data.tags["seedbed.origin"] for run in runs} == {"first"}
    (report,) = (tmp_path / "results" / "second").rglob("report.md")
    assert "4 from first" in report.read_text()
    # A key that several studies have is one trial, of the study that trained it.
    (key, *_) = values
    assert find_trial(key[:8], storage).record.study == "first"
    assert find_trial(key, storage, "second").record.origin == "first"
    # One that is removed is asked no more, and what it took over stays where it is from.
    assert finished_elsewhere(Folder(storage), values, "first") == dict.fromkeys(values, "second")
    told("rm", "second", "--yes", "--storage", storage)
    assert finished_elsewhere(Folder(storage), values, "first") == {}
    assert len(first.names("trials")) == 4
