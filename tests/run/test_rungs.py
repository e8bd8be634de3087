"""Rungs of one run, on real Ray. Oracle: the same recipes, each trained by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.studies import BATCH, run_study

from seedbed.plan.plan import Plan, plan
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import SCALES
from seedbed.study.factor import Factor
from seedbed.study.record import TrialRecord
from seedbed.study.study import Study
from seedbed.track.ledger import InMemoryLedger
from seedbed.variants import CLIP

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(600)]
RUNGS = (5, 8, 12)  # steps


def ladder(shards: Path, cohort_size: int) -> Plan:
    study = Study(
        name="rungs",
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("budget", at="budget.samples", levels=[steps * BATCH for steps in RUNGS]),),
        responses=("zeroshot/top1_of_100",),
    )
    settings = {
        "corpus.uri": str(shards),
        "corpus.caption": "txt",
        "image.name": "test_vit",
        "optimizer.schedule": "wsd",
        "optimizer.decay_share": 0.4,
    }
    return plan(study, SCALES["smoke"], overrides=settings, seeds=(0,), cohort_size=cohort_size)


def learned(record: TrialRecord) -> dict[str, Any]:
    """What a record says of learning: all but its time, and whom it was trained beside."""
    values = record.to_json()
    timed = {n for n in record.metrics if "seconds" in n or "hours" in n}
    metrics = {n: v for n, v in record.metrics.items() if n not in timed}
    beside = ("metrics", "cohort", "layout")
    return {n: v for n, v in values.items() if n not in beside} | metrics


@pytest.mark.long
def test_a_ladder_leaves_the_records_that_its_rungs_leave_by_themselves(
    cluster: None, shapes: Path, tmp_path: Path
) -> None:
    whole, ledger = ladder(shapes, cohort_size=8), InMemoryLedger()
    assert len(whole.cohorts) == 1
    together = run_study(whole, tmp_path, ledger=ledger)
    parts = ladder(shapes, cohort_size=1)
    assert len(parts.cohorts) == 3
    alone = run_study(parts, tmp_path, results="alone")
    assert together.missing(whole.trials) == alone.missing(parts.trials) == []
    for trial in whole.trials:
        found, expected = together.records[trial.key], alone.records[trial.key]
        assert learned(found) == learned(expected)
        # The ledger has the points of its trunk's steps too.
        assert len(ledger.points[trial.key]) == trial.recipe.budget.steps
        assert found.weights and found.weights == expected.weights
    hashes = {record.order_hash for record in together.records.values()}
    assert len(hashes) == 3
