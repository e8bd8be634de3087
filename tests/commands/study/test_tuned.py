"""A search whose candidates have ended. Oracle: the records that lie in the results folder."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.fixtures.rays import SharedRay

from seedbed.commands.study.options import options_of
from seedbed.commands.study.tuned import GIVEN_UP, tuned
from seedbed.plan.plan import Plan
from seedbed.recall import recall
from seedbed.recipe.recipe import Recipe
from seedbed.run.driver.live import Live
from seedbed.storage.folder import Folder
from seedbed.study.factor import Factor
from seedbed.study.nuisance import Search, Tuning
from seedbed.study.record import TrialRecord
from seedbed.study.study import Study
from seedbed.tuning.rounds import tune_cells
from seedbed.variants import CLIP

TOP1, LR = "zeroshot/top1_of_100", "optimizer.lr"
STUDY = Study(
    name="depths",
    question="?",
    base=Recipe.paper(objective=CLIP),
    factors=(Factor("depth", at="text.layers", levels=(3, 12)),),
    responses=(TOP1,),
    seeds=1,
    nuisance=(Search(LR, low=1e-4, high=1e-2, log=True),),
    tuning=Tuning(trials=4, sampler="tpe"),
)


@pytest.mark.slow
def test_a_search_that_has_ended_starts_no_ray_and_tries_nothing_again_that_it_gave_up(
    tmp_path: Path, home: Path, shared_ray: SharedRay
) -> None:
    shared_ray.leave()  # of tests before
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    options = options_of(
        STUDY,
        ["--rehearse", "--scale", "smoke", "--storage", str(tmp_path), "--tracking-uri", uri],
    )
    store = Folder(str(tmp_path)).sub(*options.folder)
    given_up: list[str] = []

    def left(chosen: Plan, number: int) -> Mapping[str, TrialRecord]:
        """All but the last candidate of each round leave a record, better nearer to 1e-3."""
        *done, failed = chosen.trials
        given_up.append(failed.key)
        found = {}
        for t in done:
            value = 0.5 - abs(t.recipe.optimizer.lr - 1e-3)
            found[t.key] = TrialRecord(
                key=t.key, study="depths", scale="smoke", cell=t.cell, seed=t.seed, cohort="",
                status="completed", metrics={TOP1: value}, role=t.role,
            )  # fmt: skip
            store.write_json(found[t.key].to_json(), "trials", t.key, "record.json")
        return found

    expected = tune_cells(options.plan, left)
    assert len(given_up) == 3
    store.write_json(given_up, options.plan.variation, GIVEN_UP)
    again = tuned(options, {}, store, Live(options.plan))
    assert again.plan.tuned == expected
    assert not sys.modules["ray"].is_initialized()
    statuses = [c.status for one in expected.cells for c in one.candidates]
    assert (statuses.count("failed"), statuses.count("completed")) == (3, 5)
    values = {str(t.cell["depth"]): t.recipe.optimizer.lr for t in again.plan.trials}
    for one in expected.cells:
        tried = [c.values[LR] for c in one.candidates if c.status == "completed"]
        nearest = min(tried, key=lambda lr: abs(lr - 1e-3))
        assert values[str(one.cell["depth"])] == nearest
    searched = recall("depths_rehearsal_search", tracking_uri=uri)
    assert searched.design.tuned == expected
    assert sorted(searched.trials["status"]) == ["completed"] * 5
    assert set(searched.trials[f"recipe/{LR}"]) == {
        str(c.values[LR])
        for one in expected.cells
        for c in one.candidates
        if c.response is not None
    }
