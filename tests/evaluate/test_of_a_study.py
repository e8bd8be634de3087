"""A study's finished trials on a test set, on real Ray. Oracle: each model by itself, in this
process, and MLflow's own client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import ray
from tests.fixtures.models import VIT, described, finished

import seedbed
from seedbed.cluster.capacity import Capacity
from seedbed.commands.study.lines import unscored_lines
from seedbed.commands.study.scored import keep_outcome, outcome_on, score_finished, wanted_of
from seedbed.errors import ResourceError, StudyError, TrackingError
from seedbed.evaluate.named import metrics_named
from seedbed.evaluate.prompted import OpenTest
from seedbed.evaluate.test_set import open_test_set
from seedbed.evaluate.zeroshot import classify
from seedbed.interchange.found import Finished, find_trial
from seedbed.plan.design import Design
from seedbed.recall import Recalled
from seedbed.recipe.recipe import Recipe
from seedbed.run import evaluation
from seedbed.run.driver.outcome import record_files
from seedbed.run.evaluation import actor_pool, classify_trials, groups_of
from seedbed.storage.folder import Folder
from seedbed.study.cell import Cell
from seedbed.study.factor import Factor
from seedbed.study.record import TrialRecord
from seedbed.study.study import Study
from seedbed.track.mlflow.added import add_results, added_metrics
from seedbed.variants import CLIP

pytestmark = pytest.mark.slow

RECORD = TrialRecord("a", "s", "demo", Cell({"depth": 2}), 0, "c", "completed")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    options = {"include_dashboard": False, "log_to_driver": False, "_memory": 16e9}
    ray.init(address="local", num_cpus=3, **options)
    yield
    ray.shutdown()


def three(home: Path) -> list[str]:
    """Trials of two sizes of pictures, one of which compares tokens."""
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
    return keys


@pytest.mark.ray
def test_trials_of_several_sizes_score_on_one_stream_as_each_does_alone(
    cluster: None, home: Path, classification: Path
) -> None:
    keys = three(home)
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


@pytest.mark.ray
@pytest.mark.long
@pytest.mark.parametrize("worth_sharing", [0, 10**6], ids=["prompts shared", "by each"])
def test_two_actors_find_what_one_finds_to_the_last_bit(
    cluster: None,
    home: Path,
    classification: Path,
    worth_sharing: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluation, "WORTH_SHARING", worth_sharing)
    trials = [find_trial(key, str(home / "results"), "s") for key in three(home)]
    test_set = open_test_set(str(classification))
    found = [
        {
            trial.record.key: scores
            for trial, scores in classify_trials(
                trials, test_set, test_set.templates, at_once=2, actors=actors
            )
        }
        for actors in (1, 2)
    ]
    assert [len(each) for each in found] == [3, 3]
    for key, scores in found[0].items():
        for name, column in scores.columns.items():
            assert (found[1][key].columns[name] == column).all(), name


@pytest.mark.ray
def test_a_second_test_set_of_one_command_leaves_the_first_one_s_results(
    cluster: None, home: Path, classification: Path
) -> None:
    from mlflow import MlflowClient

    key, results, uri = three(home)[0], str(home / "results"), f"sqlite:///{home}/mlflow.db"
    mlflow = MlflowClient(uri)
    run = mlflow.create_run(mlflow.create_experiment("s")).info.run_id
    trials = pd.DataFrame({"key": [key], "status": ["completed"]})
    recalled = Recalled(Design(study="s"), trials, uri, "", "", runs={key: run})
    tests = [open_test_set(str(classification), called=name) for name in ("hues", "tones")]
    found = list(score_finished(recalled, results, tests, actors=1))
    assert [one.test_set for one in found] == ["hues", "tones"]
    # Nothing is left to score, and what is told again is what the record has.
    assert list(score_finished(recalled, results, tests, actors=1)) == []
    record = find_trial(key, results, "s").record
    assert record.tests.keys() == {"hues", "tones"}
    data = mlflow.get_run(run).data
    for one in found:
        name = f"{one.test_set}/acc1"
        assert record.metrics[name] == data.metrics[name] == one.values["acc1"]
    assert data.metrics["tasks/num_tests"] == record.metrics["tasks/num_tests"] == 2
    kept = json.loads(
        Path(mlflow.download_artifacts(run, "record.json", str(home))).read_text("utf-8")
    )
    assert kept["tests"].keys() == {"hues", "tones"}


def test_models_that_no_node_holds_are_refused_with_the_arithmetic() -> None:
    small = Capacity({"CPU": 4.0}, {"CPU": 4.0}, present=(("", {"memory": 4e9}),))
    with pytest.raises(
        ResourceError, match=r"8 models(.|\n)*3\.5 GB(.|\n)*4\.0 GB(.|\n)*--at-once"
    ):
        actor_pool(small, int(3.5e9), int(1e9), 0, 8)
    assert actor_pool(small, int(1e9), int(1e9), 0, 8)["compute"].max_size == 3
    assert actor_pool(small, int(2e9), int(1e9), 0, 8)["compute"].max_size == 1
    gpus = Capacity({"CPU": 4.0, "GPU": 2.0}, {"CPU": 4.0, "GPU": 2.0})
    assert actor_pool(gpus, 1, 1, 0, 8)["compute"].max_size == 2
    assert actor_pool(gpus, 1, 1, 0, 8)["num_gpus"] == 1


def test_a_cohort_stays_on_one_stream_where_it_fits() -> None:
    def trials(*cohorts: str) -> list[Finished]:
        return [
            Finished(replace(RECORD, key=f"k{n}", cohort=cohort), Folder("/nowhere"))
            for n, cohort in enumerate(cohorts)
        ]

    def groups(*cohorts: str, at_once: int) -> list[str]:
        found = groups_of(trials(*cohorts), at_once)
        return ["".join(one.record.cohort for one in group) for group in found]

    assert groups(*"ababab", at_once=3) == ["aaa", "bbb"]
    assert groups(*"aabbc", at_once=4) == ["aabb", "c"]
    assert groups(*"aaaab", at_once=3) == ["aaa", "ab"]
    assert groups(*"abbcc", at_once=3) == ["abb", "cc"]


def test_results_are_added_to_a_run_beside_its_own_and_replaced_when_they_come_again(
    tmp_path: Path, classification: Path
) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    mlflow = MlflowClient(uri)
    run = mlflow.create_run(mlflow.create_experiment("s")).info.run_id
    mlflow.log_metric(run, "zeroshot/top1", 0.25)
    mlflow.set_tag(run, "seedbed.finals", json.dumps(["zeroshot/top1"]))
    examples = tmp_path / "colours.parquet"
    for value in (0.5, 0.75):
        examples.write_text(str(value))
        own = {"zeroshot/top1": 0.25, "colours/acc1": value}
        record = replace(RECORD, metrics=own, tests={"colours": {"split": "test"}})
        files = {"tests/colours.parquet": examples}
        add_results(uri, run, record, "colours", metrics_named("colours"), files)
    data = mlflow.get_run(run).data
    assert data.metrics == {"zeroshot/top1": 0.25, "colours/acc1": 0.75}
    assert json.loads(data.tags["seedbed.finals"]) == ["zeroshot/top1", "colours/acc1"]
    assert json.loads(data.tags["seedbed.test.colours"]) == {"split": "test"}
    kinds = [metric.kind for metric in added_metrics(data.tags)]
    assert kinds == ["share"] * 3 + ["count"] * 2
    kept = mlflow.download_artifacts(run, "tests/colours.parquet", str(tmp_path))
    assert Path(kept).read_text() == "0.75"
    with pytest.raises(TrackingError, match="could not be added"):
        add_results(uri, "0" * 32, record, "colours", metrics_named("colours"), {})


def test_results_stand_in_the_record_as_a_worker_would_have_written_them(
    home: Path, classification: Path
) -> None:
    key = three(home)[0]
    trial = find_trial(key, str(home / "results"), "s")
    test_set = open_test_set(str(classification), called="hues")
    wanted = wanted_of(test_set, (), [trial])
    (scores,) = classify([seedbed.load(key).encoder(key)], test_set)
    kept = keep_outcome(trial, wanted, outcome_on(trial, wanted, scores, "none"))
    again = find_trial(key, str(home / "results"), "s")
    assert again.record == kept.record and again.record.tests.keys() == {"hues"}
    own = OpenTest(test_set, test_set.mark, 168)
    assert again.record.tests["hues"] == own.protocol  # the worker's own
    added = again.record.metrics.keys() - trial.record.metrics.keys()
    assert added == {metric.name for metric in metrics_named("hues")}
    assert again.record.metrics["hues/acc1"] == (scores.columns["above"] == 0).mean()
    assert record_files(again.store, key).keys() >= {"tests/hues.parquet", "tests/hues.json"}
    assert wanted_of(test_set, (), [again]).trials == ()
    assert len(wanted_of(test_set, (), [again]).scored) == 1
    with pytest.raises(StudyError, match=r"another test set by the name 'hues'.*templates"):
        wanted_of(test_set, ("a {c}",), [again])
    # Of a second one there are means, too, whatever was known of the trial when it was asked for.
    other = wanted_of(replace(test_set, called="tones"), (), [trial])
    both = keep_outcome(trial, other, outcome_on(trial, other, scores, "none")).record.metrics
    assert both["tasks/mean_acc1"] == both["hues/acc1"] == both["tones/acc1"]
    assert both["tasks/num_tests"] == 2


def test_a_study_says_which_recorded_trials_were_not_scored_on_a_test_set() -> None:
    study = Study(
        name="s",
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("depth", at="text.layers", levels=(2, 3)),),
        tests=("cifar10", "hues=s3://b/hues"),
    )
    old, new = RECORD, replace(RECORD, key="b", tests={"cifar10": {"split": "test"}})
    assert unscored_lines(study, [old, new, replace(RECORD, key="c", status="failed")]) == [
        "test    cifar10: 1 of 2 recorded trials were not scored on it, and are kept as they are",
        "test    hues: 2 of 2 recorded trials were not scored on it, and are kept as they are",
        "        seedbed evaluate --study s --tests cifar10 hues=s3://b/hues scores them",
    ]
    every = replace(RECORD, tests={"cifar10": {"a": 1}, "hues": {"a": 1}})
    assert unscored_lines(study, [every]) == []
