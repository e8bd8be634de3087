"""What a person is told while trials run, and when one ends. Oracle: the lines, by hand."""

from __future__ import annotations

import pytest
from tests.run.worker.random_batches import ROWS, STEPS, cohort, recipe

from seedbed.metric import Metric
from seedbed.run.driver import progress as module
from seedbed.run.driver.progress import StudyProgress


@pytest.mark.parametrize(
    ("metric", "value", "shown"),
    [
        (
            Metric("zeroshot/top1", "Caption retrieval top-1 among all", "share"),
            0.3125,
            "zeroshot/top1 31.25 %",
        ),
        (Metric("own/recall", "Recall", "share"), 0.5, "own/recall 50.00 %"),
        (Metric("zeroshot/num_images", "Pictures", "count"), 1900.0, "zeroshot/num_images 1900"),
        (Metric("final/loss", "Loss", "loss", higher_is_better=False), 2.5, "final/loss 2.5"),
    ],
)
def test_the_primary_is_written_as_its_metric_says(
    capsys: pytest.CaptureFixture[str], metric: Metric, value: float, shown: str
) -> None:
    progress = StudyProgress(2, 0)
    metrics = {metric.name: value, "cost/train_seconds": 12.0}
    progress.finished("depth=3 s=0", "completed", metrics, metric)
    progress.close()
    assert capsys.readouterr().err == f"[1/2] depth=3 s=0  completed  {shown}  12 s\n"


def test_a_log_says_of_a_cohort_what_is_known_at_the_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(range(0, 1000, 31))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(times)))
    members, said = cohort(recipe()), StudyProgress(1, 0)
    said.update(members, 0)
    said.update(members, ROWS * STEPS // 24)
    said.update(members, ROWS * STEPS // 2)
    said.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["seed 0 · 1 variant  0 %  starting", "seed 0 · 1 variant  4 %"]
    assert lines[2].startswith("seed 0 · 1 variant  50 %  0 samples/s · ")
