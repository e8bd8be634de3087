"""A study's finished trials on a test set, on real Ray. Oracle: each model by itself, in this
process, and MLflow's own client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import ray
from tests.fixtures.models import VIT, described, finished

import seedbed
from seedbed.errors import TrackingError
from seedbed.evaluate.named import metrics_named
from seedbed.evaluate.test_set import open_test_set
from seedbed.evaluate.zeroshot import classify
from seedbed.interchange.found import find_trial
from seedbed.recipe.recipe import Recipe
from seedbed.run.evaluation import classify_trials
from seedbed.track.mlflow.added import add_results

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.ray
def test_trials_of_several_sizes_score_on_one_stream_as_each_does_alone(
    cluster: None, home: Path, classification: Path
) -> None:
    keys = []
    for variant, size, depth in (("clip", 32, 1), ("filip", 32, 2), ("clip", 64, 1)):
        what = described(variant)
        recipe = Recipe(
            objective=what.objective,
            image=replace(VIT, size=size),
            text=replace(what.text, layers=depth),
            embed_dim=what.embed_dim,
        )
        keys.append(finished(home / "results", recipe)[0])
    trials = [find_trial(key, str(home / "results"), "s") for key in keys]
    test_set = open_test_set(str(classification))
    found = dict(
        zip(keys, classify_trials(trials, test_set, test_set.templates, at_once=3), strict=True)
    )
    for key in keys:
        (alone,) = classify([seedbed.load(key).encoder(key)], test_set)
        trial, scores = found[key]
        assert trial.record.key == key and len(scores.ids) == 168
        for name, column in alone.columns.items():
            # A batch's size may move a last bit, and with it a tie: hardly ever.
            assert (scores.columns[name] != column).mean() <= 0.02, name


def test_results_are_added_to_a_run_beside_its_own_and_replaced_when_they_come_again(
    tmp_path: Path, classification: Path
) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    mlflow = MlflowClient(uri)
    run = mlflow.create_run(mlflow.create_experiment("s")).info.run_id
    mlflow.log_metric(run, "zeroshot/top1", 0.25)
    mlflow.set_tag(run, "seedbed.finals", json.dumps(["zeroshot/top1"]))
    metrics = metrics_named("colours")
    for value in (0.5, 0.75):
        add_results(uri, run, {"colours/acc1": value}, metrics)
    data = mlflow.get_run(run).data
    assert data.metrics == {"zeroshot/top1": 0.25, "colours/acc1": 0.75}
    assert json.loads(data.tags["seedbed.finals"]) == ["zeroshot/top1", "colours/acc1"]
    assert [one["kind"] for one in json.loads(data.tags["seedbed.added_metrics"])] == [
        "share"
    ] * 3 + ["count"] * 2
    with pytest.raises(TrackingError, match="could not be added"):
        add_results(uri, "0" * 32, {"colours/acc1": 0.5}, metrics)
