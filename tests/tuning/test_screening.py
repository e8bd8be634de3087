"""Searches that stop candidates early. Oracles: what a response surface has planted, the places of
candidates in a list sorted by hand, and the cutoff of numpy's percentiles, which is Ray's."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from tests.tuning.test_rounds import LR, OPTIMA, measuring, planned, surface

from seedbed.commands.study.main import main
from seedbed.commands.study.options import options_of
from seedbed.commands.study.tune import tuning_json, tuning_lines
from seedbed.errors import StudyError
from seedbed.plan.plan import Plan
from seedbed.plan.tuned import Tuned
from seedbed.recall import recall
from seedbed.run.driver.asha import kept
from seedbed.run.worker.rehearse import Rehearsal, pretended, write_rehearsed
from seedbed.storage.folder import Folder
from seedbed.study.nuisance import Nuisance, Tuning
from seedbed.study.record import TrialRecord
from seedbed.study.screening import Screening, to_rung
from seedbed.tuning.rounds import tune_cells

THIRDS = Screening(rungs=(1 / 9, 1 / 3), keep=1 / 3)


def samples(plans: list[Plan]) -> int:
    return sum(trial.recipe.budget.samples for one in plans for trial in one.trials)


@pytest.mark.parametrize("num", [1, 2, 3, 8, 9, 27])
@pytest.mark.parametrize("keep", [0.5, 1 / 3, 0.25])
def test_the_best_go_on_whoever_came_first(num: int, keep: float) -> None:
    rewards = {str(n): float(v) for n, v in enumerate(np.random.default_rng(num).normal(size=num))}
    on = kept(rewards, keep)
    best = sorted(rewards, key=lambda one: -rewards[one])
    assert on == set(best[: len(on)]) == kept(dict(reversed(rewards.items())), keep)
    assert len(on) == Screening(rungs=(0.5,), keep=keep).sizes(num)[1] >= 1
    cutoff = np.percentile(list(rewards.values()), 100 * (1 - keep))
    assert on == {one for one, reward in rewards.items() if reward >= cutoff}


def test_of_nine_three_and_one_go_on_for_a_third_of_the_cost() -> None:
    assert THIRDS.sizes(9) == (9, 3, 1)
    assert THIRDS.cost(9) == pytest.approx(3.0)
    assert kept({}, 0.5) == set()


@pytest.mark.slow
def test_a_screened_search_finds_the_optimum_for_a_third_of_the_samples() -> None:
    seen: dict[bool, list[Plan]] = {False: [], True: []}
    for draw in range(20):
        what = surface(draw)
        for screens in (False, True):
            chosen = planned(trials=9, **({"screening": THIRDS} if screens else {}))
            found = tune_cells(chosen, measuring(what, seen[screens]), kept)
            for cell, values in found.values.items():
                best = OPTIMA[f"supervision={cell['supervision']}"]
                assert abs(math.log10(values[LR] / best)) < 0.5, (draw, screens, str(cell))
    assert samples(seen[True]) / samples(seen[False]) == pytest.approx(1 / 3, rel=0.01)


@pytest.mark.parametrize("sampler", ["quasi-random", "tpe"])
def test_every_cell_has_as_many_at_each_rung_and_one_of_the_whole_budget_is_chosen(
    sampler: str,
) -> None:
    seen: list[Plan] = []
    chosen = planned(sampler=sampler, trials=18, seeds=2, screening=THIRDS)
    tuned = tune_cells(chosen, measuring(surface(), seen), kept)
    whole = chosen.trials[0].recipe.budget.samples
    for one in seen:
        cells = [str(trial.cell) for trial in one.trials]
        assert len({cells.count(cell) for cell in cells}) == 1
        assert {trial.role for trial in one.trials} == {"search"}
    for cell in tuned.cells:
        assert len(cell.candidates) == 18
        assert cell.chosen is not None
        assert cell.candidates[cell.chosen].reached == 1.0
        cut = [one for one in cell.candidates if one.status == "cut"]
        assert cut and all(one.reached < 1 and one.final is None for one in cut)
    assert seen[0].trials[0].recipe.budget.samples == pytest.approx(whole / 9, rel=1e-3)
    counted = sum(len(one.trials) for one in seen)
    told = tuning_json(chosen)["tuning"]
    assert told["num_trials"] == counted
    assert told["reference_hours"] / told["compared_hours"] == pytest.approx(
        samples(seen) / samples([chosen]), rel=0.01
    )
    assert "go on" in tuning_lines(chosen)[0]
    assert Tuned.from_json(tuned.to_json()) == tuned


def test_one_that_diverges_at_a_rung_goes_no_further() -> None:
    what, seen = surface(), []  # type: ignore[var-annotated]
    measure = measuring(what, seen)

    def diverging(chosen: Plan, number: int) -> Mapping[str, TrialRecord]:
        records = dict(measure(chosen, number))
        for trial in chosen.trials:
            if trial.flat[LR] > 1e-3:
                values = records[trial.key].to_json() | {"status": "diverged", "metrics": {}}
                records[trial.key] = TrialRecord.from_json(values)
        return records

    chosen = planned(trials=9, screening=THIRDS)
    for cell in tune_cells(chosen, diverging, kept).cells:
        bad = [one for one in cell.candidates if one.values[LR] > 1e-3]
        assert bad and {(one.status, one.reached) for one in bad} == {("diverged", 1 / 9)}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"rungs": ()}, r"Screening\.rungs is \(\)"),
        ({"rungs": (0.5, 0.2)}, r"give rungs=\(0\.2, 0\.5\)"),
        ({"rungs": (0.5, 1.0)}, r"Screening\.rungs is 1\.0"),
        ({"keep": 1.0}, r"Screening\.keep is 1\.0"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        Screening(**fields)


def test_a_rung_is_whole_batches_and_a_warm_up_in_proportion() -> None:
    recipe = planned().trials[0].recipe
    short = to_rung(recipe, 1 / 3).budget
    assert short.samples % short.batch == 0
    assert short.samples == pytest.approx(recipe.budget.samples / 3, rel=1e-3)
    assert short.warmup_samples == pytest.approx(recipe.budget.warmup_samples / 3, rel=1e-3)
    assert to_rung(recipe, 1.0) == recipe


def test_a_screening_is_in_the_digest_and_none_changes_no_digest() -> None:
    plain = planned(trials=9).nuisance
    screened = planned(trials=9, screening=THIRDS).nuisance
    assert plain is not None and screened is not None
    assert "screening" not in plain.to_json()
    assert plain.digest != screened.digest
    assert Nuisance.from_json(screened.to_json()) == screened
    assert Tuning(screening=THIRDS) != Tuning()


def writing(options: Any) -> Callable[[Plan, int], Mapping[str, TrialRecord]]:
    """Writes the records that a rehearsal's workers would."""
    store = Folder(options.storage).sub(*options.folder)

    def measure(chosen: Plan, number: int) -> Mapping[str, TrialRecord]:
        records = {}
        for cohort in chosen.cohorts:
            job = Rehearsal(
                study="tuned", scale=chosen.scale.name, cohort=cohort, surface=options.surface,
                responses=tuple(chosen.metrics[name] for name in chosen.responses),
                costs=chosen.costs(), storage=store.uri, code_version={},
            )  # fmt: skip
            for trial in cohort.trials:
                records[trial.key] = pretended(job, trial)
                write_rehearsed(store, job, records[trial.key])
        return records

    return measure


@pytest.mark.slow
def test_no_screened_trial_is_compared(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its trials lie there already, so that no Ray is needed."""
    study = planned(trials=9, screening=THIRDS).study
    asked = ["--rehearse", "--scale", "paper"]
    options = options_of(study, asked)
    found = tune_cells(options.plan, writing(options), kept)
    tuned = options.plan.with_tuned(found)
    writing(options)(tuned, 0)
    with pytest.raises(SystemExit) as ended:
        main(study, asked)
    assert not ended.value.code
    told = recall("tuned_rehearsal", tracking_uri=f"sqlite:///{home / 'mlflow.db'}")
    assert set(told.trials["key"]) == {trial.key for trial in tuned.trials}
    assert {trial.recipe.budget for trial in tuned.trials} == {
        trial.recipe.budget for trial in options.plan.trials
    }
    searched = {key for one in found.cells for c in one.candidates for key in c.keys}
    assert not searched & set(told.trials["key"])
    assert set(told.trials["status"]) == {"completed"} and len(searched) > len(tuned.trials)
    store = Folder(options.storage).sub(*options.folder)
    page = Path(store.path(options.plan.variation, "report", "report.md")).read_text()
    assert "8 cut" in page
    assert "Nothing that is compared was stopped early" in page.replace("\n", " ")
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("tuned_rehearsal_search")
    assert experiment is not None
    tags = "tags.`seedbed.role` = 'search'"
    assert client.search_runs([experiment.experiment_id], tags)
