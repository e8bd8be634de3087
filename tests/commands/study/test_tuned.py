"""Candidates that have ended, here or elsewhere. Oracle: the records in the results folder."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.rays import SharedRay

from seedbed.commands.study.entry import design_of
from seedbed.commands.study.options import Options, options_of
from seedbed.commands.study.tune import TUNING_NAME
from seedbed.commands.study.tuned import ended_before, note_ended, tuned
from seedbed.data.opening import open_corpora
from seedbed.data.order import ORDER_SCHEMA
from seedbed.errors import StudyError
from seedbed.home import home as home_folder
from seedbed.plan.plan import Plan
from seedbed.recall import recall
from seedbed.recipe.recipe import Recipe
from seedbed.run.driver.failures import GivenUp, note_given_up, try_again
from seedbed.run.driver.live import Live
from seedbed.run.driver.resume import starts
from seedbed.storage.folder import Folder
from seedbed.study.factor import Factor
from seedbed.study.nuisance import Search, Tuning
from seedbed.study.record import TrialRecord
from seedbed.study.study import Study
from seedbed.study.trial import Trial
from seedbed.track.finished import finished_elsewhere
from seedbed.tuning.rounds import tune_cells
from seedbed.variants import CLIP

TOP1, LR = "zeroshot/top1_of_100", "optimizer.lr"
LEVELS: Any = (3, 12)


def depths(name: str, levels: Any = LEVELS, factor: str = "depth", **tuning: Any) -> Study:
    return Study(
        name=name,
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor(factor, at="text.layers", levels=levels),),
        responses=(TOP1,),
        seeds=1,
        nuisance=(Search(LR, low=1e-4, high=1e-2, log=True),),
        tuning=Tuning(trials=4, sampler="tpe", **tuning),
    )


STUDY = depths("depths")


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
    left_out: dict[str, GivenUp] = {}

    def left(chosen: Plan, number: int) -> Mapping[str, TrialRecord]:
        """All but the last candidate of each round leave a record, better nearer to 1e-3."""
        *done, failed = chosen.trials
        left_out[failed.key] = GivenUp(failed.cell.to_json(), failed.name, "no room")
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
    assert len(left_out) == 3
    note_given_up(store, options.plan.variation, left_out)
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


def chosen(study: Study, shapes: Path, folder: Path) -> tuple[Options, Any]:
    """`study` on real shards, and their corpus."""
    given = ["--scale", "smoke", "--data", str(shapes), "--storage", str(folder / "results")]
    given += ["--tracking-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    options = options_of(study, given)
    return options, open_corpora([options.plan.trials[0].recipe.corpus], home_folder())


def ended(trial: Trial, study: str, corpora: Any) -> TrialRecord:
    value = 0.5 - abs(trial.recipe.optimizer.lr - 1e-3)
    return TrialRecord(
        key=trial.key, study=study, scale="smoke", cell=trial.cell, seed=trial.seed, cohort="",
        status="completed", metrics={TOP1: value}, role=trial.role, order_schema=ORDER_SCHEMA,
        data_fingerprint=corpora[trial.recipe.corpus].fingerprint,
    )  # fmt: skip


def searched(options: Options, corpora: Any) -> list[Trial]:
    """The candidates that a search would start, which end at once."""
    store = Folder(options.storage).sub(*options.folder)
    begun: list[Trial] = []

    def measure(wanted: Plan, number: int) -> Mapping[str, TrialRecord]:
        outcome = ended_before(options, corpora, store, wanted)
        for start in starts(store, wanted, outcome, corpora):
            for trial in start.cohort.trials:
                record = ended(trial, options.name, corpora)
                store.write_json(record.to_json(), "trials", trial.key, "record.json")
                outcome.records[trial.key] = record
                begun.append(trial)
        note_ended(options, outcome.records)
        return outcome.records

    tune_cells(options.plan, measure)
    return begun


@pytest.mark.slow
@pytest.mark.parametrize("name", ["depths", "deeper"])
def test_a_study_that_grows_starts_the_candidates_of_its_new_cells_alone(
    name: str, shapes: Path, tmp_path: Path, home: Path
) -> None:
    """Under its own name, and as another study of the same storage."""
    options, corpora = chosen(STUDY, shapes, tmp_path)
    first = searched(options, corpora)
    assert len(first) == 8 and not searched(options, corpora)
    more, corpora = chosen(depths(name, (3, 12, 6)), shapes, tmp_path)
    new = searched(more, corpora)
    assert {trial.cell["depth"] for trial in new} == {6} and len(new) == 4
    # Their keys are those of the recipes, whatever the cells are called.
    words = depths("named", {"shallow": 3, "deep": 12}, "layers")
    assert not searched(*chosen(words, shapes, tmp_path))
    keys = {trial.key for trial in first}
    assert set(finished_elsewhere(Folder(options.storage), keys, "")) == keys
    # Another seed of the search is another trial of the same candidate.
    seeded = searched(*chosen(depths("seeded", seeds=2), shapes, tmp_path))
    assert seeded and not {trial.key for trial in seeded} & keys
    assert {t.recipe.optimizer.lr for t in first[:4]} <= {t.recipe.optimizer.lr for t in seeded}


@pytest.mark.slow
def test_candidates_that_another_study_has_finished_are_searched_without_a_ray(
    shapes: Path, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options, corpora = chosen(STUDY, shapes, tmp_path)
    first = searched(options, corpora)
    second, corpora = chosen(depths("again"), shapes, tmp_path)
    store = Folder(second.storage).sub(*second.folder)
    found = tuned(second, corpora, store, Live(second.plan))
    assert found.plan.tuned is not None
    assert "reused  4 trials from depths" in capsys.readouterr().err
    records = [store.read_json("trials", trial.key, "record.json") for trial in first]
    assert [record["origin"] for record in records if record] == ["depths"] * 8
    assert "ray" not in sys.modules or not sys.modules["ray"].is_initialized()


@pytest.mark.slow
@pytest.mark.parametrize("became", ["failed", "diverged"])
def test_a_cell_without_a_candidate_is_not_compared_unless_that_is_forced(
    tmp_path: Path, home: Path, shapes: Path, became: str
) -> None:
    options, corpora = chosen(STUDY, shapes, tmp_path)
    store = Folder(options.storage).sub(*options.folder)
    left_out: dict[str, GivenUp] = {}

    def measure(wanted: Plan, number: int) -> Mapping[str, TrialRecord]:
        """The candidates of the deeper cell fail, or diverge."""
        found = {trial.key: ended(trial, "depths", corpora) for trial in wanted.trials}
        for trial in wanted.trials:
            if trial.cell["depth"] == 12 and became == "failed":
                left_out[trial.key] = GivenUp(trial.cell.to_json(), trial.name, "no such mount")
                del found[trial.key]
                continue
            if trial.cell["depth"] == 12:
                found[trial.key] = replace(found[trial.key], status="diverged", metrics={})
            store.write_json(found[trial.key].to_json(), "trials", trial.key, "record.json")
        return found

    tune_cells(options.plan, measure)
    note_given_up(store, options.plan.variation, left_out)
    with pytest.raises(StudyError, match=rf"no candidate completed of depth=12 \(4 {became}") as no:
        tuned(options, corpora, store, Live(options.plan))
    assert ("`seedbed retry depths`" in no.value.mend) == (became == "failed")
    assert store.read_json(options.plan.variation, TUNING_NAME) is None
    forced = tuned(replace(options, force=True), corpora, store, Live(options.plan))
    assert "depth=12 has the recipe's own values: no candidate completed" in forced.forced
    assert design_of(forced, corpora, {}).forced == forced.forced
    own = {t.recipe.optimizer.lr for t in options.plan.trials}
    assert {t.recipe.optimizer.lr for t in forced.plan.trials if t.cell["depth"] == 12} == own
    again = try_again(store, options.plan.variation, lambda cell: cell["depth"] == 12)
    assert len(again) == len(left_out) == (4 if became == "failed" else 0)
    if became == "failed":
        new = searched(options, corpora)  # where all that is started ends at once
        assert {trial.cell["depth"] for trial in new} == {12} and len(new) == 4
        assert tuned(options, corpora, store, Live(options.plan)).forced == ()
