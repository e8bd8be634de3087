"""Variants that are scored while they train. Oracle: the samples at which it was asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.run.worker.random_batches import ROWS
from tests.run.worker.test_diverging import BAD, MEMBERS, as_ray_does_not

from seedbed.data.corpus import Corpus
from seedbed.data.opening import open_corpus
from seedbed.plan.cohort import Cohort
from seedbed.plan.cost import estimate
from seedbed.run.worker import rank as of_rank
from seedbed.run.worker.assignment import Assignment
from seedbed.run.worker.mesh import Mesh
from seedbed.run.worker.message import Message
from seedbed.study.trial import Trial


@pytest.mark.slow
@pytest.mark.parametrize("every", [0, 3 * ROWS])
def test_a_rank_scores_its_variants_every_so_many_samples_and_tells_the_driver(
    every: int, shapes: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = Corpus(uri=str(shapes), caption="txt")
    recipes = [replace(trial.recipe, corpus=corpus) for trial in MEMBERS.trials]
    members = Cohort(tuple(Trial((("n", n),), one) for n, one in enumerate(recipes)))
    as_ray_does_not(monkeypatch, members)
    monkeypatch.setattr(of_rank.Saver, "is_due", False)
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(of_rank.ray.train, "report", told.append)
    rank = of_rank.Rank(
        Assignment(
            study="s", scale="smoke", cohort=members, data={corpus: open_corpus(corpus, home)},
            storage=str(tmp_path), code_version={}, threads=1, data_parallel=1, num_tasks=1,
            checkpoint_seconds=0, costs={one.key(): estimate(one) for one in recipes},
            validate_every=every,
        ),
        Mesh(),
    )  # fmt: skip
    assert rank.run()
    at = [
        samples
        for samples in range(ROWS, (BAD + 2) * ROWS + 1, ROWS)
        if every and not samples % every
    ]
    points = [point for report in told for point in Message.from_report(report).points]
    for key, variant in rank.training.variants.items():
        curve = [p["samples"] for p in variant.curve if "zeroshot/top1" in p]
        sent = [p.samples for p in points if p.key == key and "zeroshot/top1" in p.metrics]
        assert curve == sent == at
