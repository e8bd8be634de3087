"""What a plan says of a search that has begun. Oracle: records written here, counted by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from seedbed.commands.study.options import Options, options_of
from seedbed.commands.study.price import Price
from seedbed.commands.study.price_lines import price_lines
from seedbed.commands.study.searched import searched_so_far
from seedbed.commands.study.tune import tuning_json, tuning_lines
from seedbed.plan.plan import Plan
from seedbed.recipe.recipe import Recipe
from seedbed.run.driver.failures import GivenUp, note_given_up
from seedbed.storage.folder import Folder
from seedbed.study.factor import Factor
from seedbed.study.nuisance import Search, Tuning
from seedbed.study.record import TrialRecord
from seedbed.study.study import Study
from seedbed.track.finished import note_finished
from seedbed.tuning.rounds import tune_cells
from seedbed.variants import CLIP

TOP1 = "zeroshot/top1_of_100"
pytestmark = pytest.mark.slow


def depths(name: str = "depths", **fields: Any) -> Study:
    return Study(
        name=name,
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("depth", at="text.layers", levels=(3, 12)),),
        responses=(TOP1,),
        seeds=2,
        **fields,
    )


TUNED: dict[str, Any] = {
    "nuisance": (Search("optimizer.lr", low=1e-4, high=1e-2, log=True),),
    # One round of 2 candidates, and two of one.
    "tuning": Tuning(trials=4, sampler="tpe"),
}


def planned(study: Study, folder: Path, *given: str) -> Options:
    return options_of(study, ["--plan", "--scale", "smoke", "--storage", str(folder), *given])


def write(options: Options, chosen: Plan) -> dict[str, TrialRecord]:
    """A record of each trial, better nearer to 1e-3."""
    top = Folder(options.storage)
    found = {
        t.key: TrialRecord(
            key=t.key, study=options.name, scale="smoke", cell=t.cell, seed=t.seed, cohort="",
            status="completed", metrics={TOP1: 0.5 - abs(t.recipe.optimizer.lr - 1e-3)},
            role=t.role,
        )
        for t in chosen.trials
    }  # fmt: skip
    for key, record in found.items():
        top.sub(*options.folder).write_json(record.to_json(), "trials", key, "record.json")
    note_finished(top, options.name, found)
    return found


def search(options: Options, depth: int, rounds: int, lost: int = 0) -> list[str]:
    """Records of the first rounds of a cell's search but for the first `lost` candidates;
    the keys of all that it asked for."""
    asked: list[str] = []

    def measure(wanted: Plan, number: int) -> Mapping[str, TrialRecord]:
        own = options.plan.of_trials([t for t in wanted.trials if t.cell["depth"] == depth])
        asked.extend(trial.key for trial in own.trials)
        own = own.of_trials([trial for trial in own.trials if trial.key not in asked[:lost]])
        return write(options, own) if number <= rounds else {}

    tune_cells(options.plan, measure)
    return asked


def test_untuned_trials_stand_for_no_tuned_ones(counted_home: Path, tmp_path: Path) -> None:
    for name in ("depths", "elsewhere"):
        plain = planned(depths(name), tmp_path)
        write(plain, plain.plan)
    plain = planned(depths(), tmp_path)
    assert not Price(plain, []).left
    tuned = planned(depths(**TUNED), tmp_path)
    price = Price(tuned, [])
    assert len(price.left) == 4 and sum(price.seconds(price.here)) > 0
    assert price_lines(price)[0] == "new     4 trials to train, once their cells are tuned"
    assert not any(line.startswith("reused") for line in price_lines(price))
    told = price.to_json()
    assert (told["new"], told["reused"], told["reused_from"]) == (4, 0, {})
    # With other seeds they are no candidates of its search either.
    assert searched_so_far(tuned).words == ""


def test_candidates_that_have_ended_are_not_priced(counted_home: Path, tmp_path: Path) -> None:
    options = planned(depths(**TUNED), tmp_path)
    nothing = tuning_json(options.plan, searched_so_far(options))["tuning"]
    assert (nothing["num_trials"], nothing["num_left"]) == (8, 8)
    assert nothing["left_hours"] == nothing["reference_hours"]
    search(options, 3, rounds=3)
    search(options, 12, rounds=1)
    so_far = searched_so_far(options)
    assert so_far.own == 4 + 2
    told = tuning_json(options.plan, so_far)["tuning"]
    # Two of the four candidates of the deeper cell: half of its two trials with two seeds.
    deep = [c.reference_hours for t, c in zip(options.plan.trials, options.plan.costs().values(),
            strict=True) if t.cell["depth"] == 12]  # fmt: skip
    assert told["left_hours"] == pytest.approx(sum(deep))
    line = tuning_lines(options.plan, so_far)[1]
    assert "6 recorded" in line and "2 are left" in line
    # One more seed of the comparison is nothing to the search.
    more = planned(depths(**TUNED), tmp_path, "--seeds", "3")
    assert searched_so_far(more).own == 6
    # Another study of the same cells takes them over.
    other = planned(depths("other", **TUNED), tmp_path)
    assert searched_so_far(other).words == "6 from depths"


def test_what_a_search_gave_up_is_not_waited_for(counted_home: Path, tmp_path: Path) -> None:
    options = planned(depths(**TUNED), tmp_path)
    asked = search(options, 3, rounds=3, lost=1)
    store = Folder(options.storage).sub(*options.folder)
    lost = GivenUp({"depth": 3}, "depth=3 s=10000", "no room")
    note_given_up(store, options.plan.variation, {asked[0]: lost})
    assert searched_so_far(options).own == 3


def test_a_rehearsal_asks_for_nothing(counted_home: Path, tmp_path: Path) -> None:
    search(planned(depths(**TUNED), tmp_path), 3, rounds=3)
    rehearsal = planned(depths(**TUNED), tmp_path, "--rehearse")
    assert searched_so_far(rehearsal).words == ""
