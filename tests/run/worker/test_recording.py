"""What a trial leaves. Oracle: the record that its inputs must give, by hand."""

from __future__ import annotations

import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from seedbed.data.corpus import Corpus
from seedbed.data.opening import OpenCorpus, open_corpus
from seedbed.data.render.render import render_span
from seedbed.data.rounds import Span
from seedbed.evaluate import tasks
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower
from seedbed.plan.cohort import Cohort
from seedbed.plan.cost import estimate
from seedbed.plan.rendering import rendering_of
from seedbed.recipe.recipe import Budget, Recipe
from seedbed.run.driver.outcome import record_files
from seedbed.run.worker.assignment import Assignment
from seedbed.run.worker.cohort import CohortTraining
from seedbed.run.worker.reading import order_of
from seedbed.run.worker.recording import Recorder
from seedbed.storage.folder import Folder
from seedbed.study.measured import measured
from seedbed.study.record import TrialRecord
from seedbed.study.trial import Trial
from seedbed.variants import CLIP

CPU = torch.device("cpu")
BATCH, STEPS = 32, 6


def recipe(shapes: Path, layers: int = 1) -> Recipe:
    return Recipe(
        objective=CLIP,
        corpus=Corpus(uri=str(shapes), caption="txt"),
        image=ImageTower("test_resnet", size=32),
        text=TextTower(layers=layers, width=32, heads=2, context=12),
        embed_dim=16,
        budget=Budget(samples=BATCH * STEPS, warmup_samples=BATCH, batch=BATCH),
    )


@pytest.fixture
def corpus(shapes: Path, home: Path) -> OpenCorpus:
    return open_corpus(Corpus(uri=str(shapes), caption="txt"), home)


def recorder(corpus: OpenCorpus, folder: Path, *recipes: Recipe) -> Recorder:
    cohort = Cohort(tuple(Trial((("n", i),), one) for i, one in enumerate(recipes)))
    assignment = Assignment(
        study="s",
        scale="smoke",
        cohort=cohort,
        data={cohort.recipe.corpus: corpus},
        storage=str(folder),
        code_version={"seedbed": "test"},
        threads=1,
        data_parallel=1,
        num_tasks=1,
        checkpoint_seconds=30,
        costs={one.key(): estimate(one) for one in recipes},
    )
    return Recorder(assignment, CohortTraining(cohort, CPU), rank=0, world=1)


def record_of(folder: Path, key: str) -> TrialRecord:
    return TrialRecord.from_json(Folder(str(folder)).read_json("trials", key, "record.json"))


def test_finite_weights_whose_scores_are_not_finite_are_recorded_as_diverged(
    corpus: OpenCorpus, shapes: Path, tmp_path: Path
) -> None:
    one = recipe(shapes)
    left = recorder(corpus, tmp_path, one)
    variant = left.training.variants[one.key()]
    with torch.no_grad():
        variant.model.projections["image"].weight.fill_(3e38)  # finite, and its products are not
    left.record(variant)
    record = record_of(tmp_path, one.key())
    assert record.status == "diverged"
    count = corpus.test.num_samples
    assert count > 20
    assert record.reason == f"{count} of {count} held-out pictures have scores that are not finite"
    assert not [name for name in record.metrics if name.startswith("zeroshot/")]
    assert not Folder(str(tmp_path)).exists("trials", one.key(), "model.safetensors")


def test_a_sound_variant_leaves_weights_examples_and_scores(
    corpus: OpenCorpus, shapes: Path, tmp_path: Path
) -> None:
    one = recipe(shapes)
    left = recorder(corpus, tmp_path, one)
    left.record(left.training.variants[one.key()])
    record = record_of(tmp_path, one.key())
    assert (record.status, record.metrics["zeroshot/num_images"]) == (
        "completed",
        corpus.test.num_samples,
    )
    names = set(Folder(str(tmp_path)).names("trials", one.key()))
    tables = {"examples.parquet", "retrieval.parquet"}
    assert names == {"record.json", "model.safetensors", *tables}


@pytest.mark.slow
def test_weights_are_those_that_the_record_names_or_none(
    corpus: OpenCorpus, shapes: Path, tmp_path: Path
) -> None:
    one = recipe(shapes)
    for name, keep in (("kept", True), ("left out", False)):
        left = recorder(corpus, tmp_path / name, one)
        left.assignment = replace(left.assignment, keep_weights=keep)
        left.record(left.training.variants[one.key()])
    file = tmp_path / "kept" / "trials" / one.key() / "model.safetensors"
    assert record_of(tmp_path / "kept", one.key()).weights == sha256(file.read_bytes()).hexdigest()
    assert load_file(file).keys() >= {"towers.text.position", "projections.image.weight"}
    assert record_of(tmp_path / "left out", one.key()).weights == ""
    assert not list((tmp_path / "left out").rglob("model.*"))


@pytest.mark.slow
def test_arithmetic_is_that_of_the_steps_made_and_no_clock_s(
    corpus: OpenCorpus, shapes: Path, tmp_path: Path
) -> None:
    whole, half = recipe(shapes, 1), recipe(shapes, 2)
    left = recorder(corpus, tmp_path, whole, half)
    left.training.variants[whole.key()].step_number = STEPS
    left.training.variants[half.key()].step_number = STEPS // 2
    for one, share in ((whole, 1.0), (half, 0.5)):
        left.record(left.training.variants[one.key()])
        found = record_of(tmp_path, one.key()).metrics
        assert found["cost/pflop"] == pytest.approx(share * estimate(one).train_flops / 1e15)


def test_costs_of_a_trial_are_its_own_steps_at_their_settled_pace(
    corpus: OpenCorpus, shapes: Path, tmp_path: Path
) -> None:
    """A cold start of 9 s of core time and 20 s of wall is told, and is no part of the cost."""
    one = recipe(shapes, 1)
    left = recorder(corpus, tmp_path, one)
    left.training.shared_seconds = 68.0
    left.training.variants[one.key()].clock.load_state_dict(
        {
            "steps": 3,
            "seconds": 6.0,
            "wall_seconds": 12.0,
            "startup_steps": 3,
            "startup_cost": 9.0,
            "startup_wall": 20.0,
        }
    )
    left.record(left.training.variants[one.key()])
    found = record_of(tmp_path, one.key()).metrics
    assert found["cost/device_hours"] == pytest.approx(6 * 2.0 / 3600)
    assert found["cost/train_seconds"] == pytest.approx(6 * 4.0)
    assert found["cost/startup_seconds"] == pytest.approx(20.0 - 3 * 4.0)
    assert found["cost/shared_seconds"] == 68.0


@pytest.mark.slow
def test_a_record_holds_the_declared_metrics_and_no_other(
    corpus: OpenCorpus, shapes: Path, tmp_path: Path
) -> None:
    one = recipe(shapes)
    left = recorder(corpus, tmp_path, one)
    cohort = left.assignment.cohort
    order, rendering = order_of(corpus, one), rendering_of(cohort)
    span = Span(0, STEPS * BATCH, BATCH)
    parts = list(render_span(corpus.train, order, span, rendering, BATCH))
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    for step in range(STEPS):
        left.training.step(
            left.training.prepare(
                {n: c[step * BATCH : (step + 1) * BATCH] for n, c in whole.items()}
            )
        )
    left.training.collect()
    left.record(left.training.variants[one.key()])
    record = record_of(tmp_path, one.key())
    assert record.status == "completed"
    copies = {"data/removed/1_held_out_copies"}  # where the corpus has such pairs
    assert set(record.metrics) | copies == set(measured([one]))


NEW_TASK = """
import numpy as np

from seedbed.evaluate.scores import Scores
from seedbed.evaluate.task import Pairs, Task
from seedbed.metric import Metric

BRIGHT = Metric("brightness/bright", "Bright pictures", "share", column="darkness", below=128)


class Brightness(Task[Pairs]):
    metrics = (BRIGHT,)
    file = "brightness.parquet"
    examples = "pictures"

    def prepare(self, pairs):
        return pairs

    def run(self, model, part):
        return Scores(part.ids, {"darkness": 255 - part.images.mean((1, 2, 3))})
"""


def test_a_new_task_is_one_file_and_is_run_recorded_and_kept(
    corpus: OpenCorpus, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "brightness.py").write_text(NEW_TASK)
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(folder)])
    tasks.all_tasks.cache_clear()
    try:
        one = recipe(shapes)
        left = recorder(corpus, tmp_path, one)
        left.record(left.training.variants[one.key()])
        store = Folder(str(tmp_path))
        kept = record_files(store, one.key())
    finally:
        monkeypatch.undo()
        tasks.all_tasks.cache_clear()
        sys.modules.pop("seedbed.evaluate.tasks.brightness", None)
    found = record_of(tmp_path, one.key()).metrics
    assert 0 < found["brightness/bright"] < 1 and "zeroshot/top1" in found
    assert kept.keys() == {"brightness.parquet", "examples.parquet", "retrieval.parquet"}
    table = pq.read_table(str(kept["brightness.parquet"]))
    assert len(table) == corpus.test.num_samples
    bright = (table.column("darkness").to_numpy() < 128).mean()
    assert found["brightness/bright"] == pytest.approx(bright)
