"""Trials scored on a test set of their own, at their end and while they train. Oracle: the same
models scored by `seedbed evaluate`, and the same training with nobody looking."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from tests.run.worker.test_recording import BATCH, STEPS, record_of, recorder
from tests.run.worker.test_recording import recipe as small_recipe

import seedbed
from seedbed.data.corpus import Corpus
from seedbed.data.opening import OpenCorpus, open_corpora, open_corpus
from seedbed.data.overlap import TestPictures
from seedbed.data.render.render import render_span
from seedbed.data.rounds import Span
from seedbed.data.shards.row_index import digest_of
from seedbed.data.shards.samples import read_shard
from seedbed.errors import DataError, StudyError
from seedbed.evaluate.named import NamedTest, named_tests
from seedbed.evaluate.prompted import OpenTest, Prompted
from seedbed.evaluate.test_set import open_test_set
from seedbed.evaluate.zeroshot import classify, outcome
from seedbed.plan.rendering import rendering_of
from seedbed.recipe.recipe import Recipe
from seedbed.run.driver.outcome import record_files
from seedbed.run.worker.cohort import CohortTraining
from seedbed.run.worker.reading import order_of
from seedbed.run.worker.recording import Recorder
from seedbed.run.worker.scoring import Validation
from seedbed.storage.folder import Folder
from seedbed.study.study import Study
from seedbed.variants import UNIFIED

STUDIES = Path(__file__).parents[2] / "studies"


@pytest.fixture
def corpus(shapes: Path, home: Path) -> OpenCorpus:
    return open_corpus(Corpus(uri=str(shapes), caption="txt"), home)


def scored_on(left: Recorder, folder: Path) -> Recorder:
    """The recorder of a cohort that is scored on the test set in `folder` too."""
    test_set = open_test_set(str(folder), called="hues")
    one = OpenTest(test_set, test_set.mark, 168)
    assignment = replace(left.assignment, tests=(one,))
    return Recorder(assignment, left.training, 0, 1)


def finer(recipe: Recipe) -> Recipe:
    return replace(recipe, objective=UNIFIED["filip"]["objective"])


@pytest.mark.parametrize("finest", [False, True], ids=["by embedding", "by token"])
@pytest.mark.slow
def test_a_trial_s_own_score_is_what_evaluate_finds_of_its_weights(
    corpus: OpenCorpus, shapes: Path, tmp_path: Path, classification: Path, finest: bool
) -> None:
    one = finer(small_recipe(shapes)) if finest else small_recipe(shapes)
    left = scored_on(recorder(corpus, tmp_path / "results" / "s", one), classification)
    variant = left.training.variants[one.key()]
    with torch.no_grad():  # nobody's start: at it a model finds nothing
        for tensor in variant.model.parameters():
            tensor.add_(
                0.05 * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1))
            )
    left.record(variant)
    store = Folder(str(tmp_path / "results" / "s"))
    record = record_of(tmp_path / "results" / "s", one.key())
    encoder = seedbed.load(one.key(), storage=str(tmp_path / "results")).encoder("it")
    (scores,) = classify([encoder], open_test_set(str(classification)))
    assert record.metrics["hues/acc1"] == (scores.columns["above"] == 0).mean()
    assert record.metrics["hues/acc5"] == (scores.columns["above"] < 5).mean()
    counts = [record.metrics[f"hues/{name}"] for name in ("num_pictures", "num_names")]
    assert counts == [168, 7]
    assert "zeroshot/top1" in record.metrics and record.tests["hues"]["num_templates"] == 3
    # As many pictures of each class: their mean is the share of all.
    recall = record.metrics["hues/mean_per_class_recall"]
    assert recall == pytest.approx(record.metrics["hues/acc1"])
    kept = record_files(store, one.key())
    assert kept.keys() == {
        "examples.parquet",
        "retrieval.parquet",
        "tests/hues.json",
        "tests/hues.parquet",
    }
    # Its result has n, chance and interval, as `seedbed evaluate` writes them.
    told = store.read_json("trials", one.key(), "tests", "hues.json")
    outside = outcome(encoder, open_test_set(str(classification), called="hues"), scores).to_json()
    same = ("dataset", "task", "metrics", "n_of", "chance", "protocol")
    assert {name: told[name] for name in same} == {name: outside[name] for name in same}
    assert {n: tuple(v) for n, v in told["interval"].items()} == outside["interval"]
    table = pq.read_table(str(kept["tests/hues.parquet"]))
    for name, column in scores.columns.items():
        assert (table.column(name).to_numpy() == column).all(), name


def trained(corpus: OpenCorpus, left: Recorder, one: Recipe, every: int) -> CohortTraining:
    """The recorder's cohort, stepped to its end, scored every so many samples."""
    training = left.training
    cohort = training.cohort
    rendering = rendering_of(cohort)
    validation = Validation(every, left.held_out.asked)
    span, order = Span(0, STEPS * BATCH, BATCH), order_of(corpus, one)
    for part in render_span(corpus.train, order, span, rendering, BATCH):
        training.step(training.prepare(part))
        if validation.is_due(training):
            validation.points(training)
        training.collect()
    return training


@pytest.mark.slow
def test_who_is_looked_at_while_training_trains_to_the_same_bits(
    corpus: OpenCorpus, shapes: Path, tmp_path: Path, classification: Path
) -> None:
    one = small_recipe(shapes)
    models, curves = [], []
    for every in (0, 2 * BATCH - 1):
        left = scored_on(recorder(corpus, tmp_path / str(every), one), classification)
        training = trained(corpus, left, one, every)
        variant = training.variants[one.key()]
        models.append(variant.model.state_dict())
        left.record(variant)
        curves.append(record_of(tmp_path / str(every), one.key()))
    for name, value in models[0].items():
        assert torch.equal(torch.as_tensor(value), torch.as_tensor(models[1][name])), name
    plain, looked = curves
    losses = [
        [point["train/loss"] for point in record.curve if "train/loss" in point]
        for record in curves
    ]
    assert losses[0] == losses[1] and plain.metrics.keys() == looked.metrics.keys()
    timed = {name for name in plain.metrics if name.startswith("cost/")}
    assert all(looked.metrics[n] == v for n, v in plain.metrics.items() if n not in timed)
    # 63, 126, 189 samples: after the first steps of 32 that have seen as many; the end is its own.
    points = [p["samples"] for p in looked.curve if "hues/acc1" in p]
    assert points == [64, 128] and not [p for p in plain.curve if "hues/acc1" in p]
    assert all("zeroshot/top1" in p for p in looked.curve if "hues/acc1" in p)


def test_pictures_that_are_trained_on_are_counted_and_named(shapes: Path, home: Path) -> None:
    stated = Corpus(uri=str(shapes), caption="txt")
    place = str(shapes / "00003.tar")
    every = np.array([digest_of(sample) for sample in read_shard(place)], np.uint64)
    train = open_corpus(stated, home).train.of_shard(3)
    test = TestPictures("hues", {place: every[train[:2]], "elsewhere": np.array([7], np.uint64)})
    with pytest.raises(DataError) as caught:
        open_corpora([stated], home, others=[test])
    assert f"2 of the 3 pictures to be tested on are among those that '{shapes}'" in str(
        caught.value
    )
    assert f"00003.tar/{train[0]:09}" not in caught.value.mend
    assert "00003.tar" in caught.value.why and "'hues'" in caught.value.mend
    apart = TestPictures("hues", {"elsewhere": np.array([7], np.uint64)})
    assert open_corpora([stated], home, others=[apart])[stated].train.num_samples


def test_pictures_of_another_number_than_was_counted_are_no_result(classification: Path) -> None:
    test_set = open_test_set(str(classification))
    for counted, words in ((167, "has more"), (169, "has 168")):
        with pytest.raises(DataError, match=f"{words} pictures, and {counted} were counted"):
            list(OpenTest(test_set, "m", counted).rendered(small_recipe(Path()).augment.test, 8))


def test_the_paper_s_claims_and_values_are_of_imagenet_where_it_is_given() -> None:
    study: Study = runpy.run_path(str(STUDIES / "supervision.py"))["study"]
    assert {claim.response for claim in study.claims} == {"zeroshot/top1"}
    asked = study.scored_on(named_tests(["imagenet=s3://bucket/imagenet1k"]))
    assert asked.responses[0] == "imagenet/acc1" and asked.responses[1:] == study.responses
    assert {claim.response for claim in asked.claims} == {"imagenet/acc1"}
    assert asked.published is not None and asked.published.response == "imagenet/acc1"
    assert asked.metrics["imagenet/acc1"].file == "tests/imagenet.parquet"
    other = study.scored_on(named_tests(["cifar10"]))
    assert other.responses[0] == "cifar10/acc1"
    assert {claim.response for claim in other.claims} == {"zeroshot/top1"}
    assert study.responses[0] == "zeroshot/top1_of_100"  # as it was
    both = study.scored_on(named_tests(["imagenet=s3://bucket/imagenet1k", "cifar10"]))
    assert both.responses[:2] == ("imagenet/acc1", "cifar10/acc1")
    assert both.responses[-2:] == ("tasks/mean_acc1", "tasks/mean_above_chance")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (["zeroshot=/a"], "begins the names of other numbers"),
        (["a/b=/c"], "called 'a/b'"),
        (["=s3://b"], "called ''"),
        (["x=/a", "x=/b"], "two test sets are called 'x'"),
    ],
)
def test_names_that_cannot_be_told_apart_are_refused(said: list[str], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        named_tests(said)


def test_a_test_set_s_task_measures_what_it_declares(classification: Path) -> None:
    test_set = open_test_set(str(classification), called="hues")
    declared = {metric.name for metric in NamedTest("hues").metrics}
    task = Prompted(OpenTest(test_set, "m", 168), small_recipe(Path()).augment.test, 8)
    assert {metric.name for metric in task.metrics} == declared
