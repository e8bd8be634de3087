"""A search on the command line and in a plan. Oracle: the arithmetic, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from seedbed.commands.study.options import Options, options_of
from seedbed.commands.study.tune import TUNING_NAME, as_tuned_before, tuning_json, tuning_lines
from seedbed.errors import StudyError
from seedbed.plan.tuned import Candidate, Tuned, TunedCell
from seedbed.recipe.recipe import Recipe
from seedbed.storage.folder import Folder
from seedbed.study.factor import Factor
from seedbed.study.nuisance import Search, Tuning
from seedbed.study.study import Study
from seedbed.variants import CLIP

PLAIN = Study(
    name="depths",
    question="?",
    base=Recipe.paper(objective=CLIP),
    factors=(Factor("depth", at="text.layers", levels=(3, 12)),),
)
TUNED = Study(
    name="depths",
    question="?",
    base=Recipe.paper(objective=CLIP),
    factors=PLAIN.factors,
    nuisance=(Search("optimizer.lr", low=1e-4, high=3e-3, log=True),),
    tuning=Tuning(trials=8, sampler="tpe", rounds=4, seeds=2),
)
ASKED = ["--tune", "optimizer.lr=1e-4:3e-3"]


def planned(study: Study, *arguments: str) -> Options:
    return options_of(study, ["--plan", "--scale", "smoke", "--seeds", "3", *arguments])


def test_a_study_is_tuned_by_one_option(home: object) -> None:
    chosen = planned(PLAIN, *ASKED).plan
    assert chosen.nuisance is not None
    assert chosen.nuisance.space == (TUNED.nuisance.space if TUNED.nuisance else ())
    assert chosen.nuisance.tuning == Tuning()
    assert planned(PLAIN).plan.nuisance is None


def test_the_command_line_changes_what_a_study_states_and_keeps_the_rest(home: object) -> None:
    chosen = planned(
        TUNED, "--tune", "optimizer.lr=1e-5:1e-3", "--tune", "optimizer.weight_decay=0.01:0.5",
        "--tune-trials", "6",
    ).plan.nuisance  # fmt: skip
    assert chosen is not None
    assert [(s.at, s.low) for s in chosen.space] == [
        ("optimizer.lr", 1e-5),
        ("optimizer.weight_decay", 0.01),
    ]
    assert (chosen.tuning.trials, chosen.tuning.sampler, chosen.seeds) == (
        6,
        "tpe",
        (10_000, 10_001),
    )


def test_a_budget_of_nothing_is_refused(home: object) -> None:
    with pytest.raises(StudyError, match="no field is tuned"):
        planned(PLAIN, "--tune-trials", "4")
    with pytest.raises(StudyError, match="'sobol'"):
        planned(PLAIN, *ASKED, "--tune-sampler", "sobol")


def test_a_plan_states_the_search_and_its_price_beside_the_comparison(home: object) -> None:
    chosen = planned(TUNED).plan
    told = tuning_json(chosen)["tuning"]
    assert told["num_trials"] == 2 * 8 * 2  # cells, candidates, seeds of the search
    # The same recipes but for the learning rate: 32 trials cost 32 sixths of the 6 compared.
    assert told["reference_hours"] == pytest.approx(told["compared_hours"] * 32 / 6)
    lines = tuning_lines(chosen)
    assert "8 candidates for every cell, each with 2 seeds, tpe in 4 rounds" in lines[0]
    assert "32 trials" in lines[1] and "before the 6 that are compared" in lines[1]
    assert tuning_lines(planned(PLAIN).plan) == [] and tuning_json(planned(PLAIN).plan) == {}


def test_a_plan_knows_what_an_earlier_start_has_tuned(home: object, tmp_path: Path) -> None:
    chosen, place = planned(TUNED).plan, (str(tmp_path), ("depths",))
    assert as_tuned_before(chosen, *place) is chosen
    nuisance = chosen.nuisance
    assert nuisance is not None
    rates = {3: 2e-4, 12: 7e-4}
    cells = tuple(
        TunedCell(
            cell=cell,
            candidates=(
                Candidate(values={"optimizer.lr": rates[int(cell["depth"])]}, response=0.3),
            ),
            chosen=0,
        )
        for cell in dict.fromkeys(trial.cell for trial in chosen.trials)
    )
    store = Folder(str(tmp_path)).sub("depths")
    found = Tuned(nuisance=nuisance, response="zeroshot/top1", cells=cells)
    store.write_json(found.to_json(), chosen.variation, TUNING_NAME)
    known = as_tuned_before(chosen, *place)
    assert [t.recipe.optimizer.lr for t in known.trials] == [2e-4, 7e-4] * 3
    assert "have ended" in tuning_lines(known)[1]
    half = Tuned(nuisance=nuisance, response="zeroshot/top1", cells=cells[:1])
    store.write_json(half.to_json(), chosen.variation, TUNING_NAME)
    assert as_tuned_before(chosen, *place) is chosen  # a level was added: it is still to be tuned
