"""Studies that stop by their own rule, look by look, on trials that a surface made.

Oracle: the surface. With an effect twenty times its noise the claim is decided at the first look;
without one none of the looks may support it; what a plan says of the first look is counted by hand.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient
from tests.fixtures.pretending import pretend, rehearsed
from tests.tuning.test_screening import writing

from seedbed import (
    Claim,
    Contrast,
    Factor,
    Looks,
    Recipe,
    Screening,
    Search,
    Study,
    Tuning,
    main,
)
from seedbed.analyze import trials_table
from seedbed.analyze.findings.looks import looks_taken
from seedbed.analyze.findings.study import find
from seedbed.commands.study.draws import print_power
from seedbed.commands.study.looked import look_by_look
from seedbed.commands.study.options import options_of
from seedbed.commands.study.plan import print_plan
from seedbed.commands.study.stated import decisions_before, note_decision
from seedbed.plan.surface import Surface
from seedbed.run.driver.asha import kept
from seedbed.run.driver.live import Live
from seedbed.run.driver.outcome import Outcome
from seedbed.run.worker.rehearse import Rehearsal, pretended
from seedbed.storage.folder import Folder
from seedbed.study.looks import METHODS
from seedbed.tuning.rounds import tune_cells
from seedbed.variants import CLIP

TOP1 = "zeroshot/top1_of_100"
NOISE = 0.003


def study(**looks: Any) -> Study:
    return Study(
        name="looked",
        question="Is deeper better?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("depth", at="text.layers", levels=(3, 6, 12)),),
        responses=(TOP1,),
        claims=(Claim("C1", "Deeper is better.", Contrast("depth", 6, 3)),),
        looks=Looks(**{"first": 3, "by": 2, "most": 7} | looks),
    )


def surface(effect: float, draw: int = 0) -> Surface:
    effects = {"depth=6": effect}
    return Surface(mean=0.4, effects=effects, noise=NOISE, seed_spread=0.01, random_state=draw)


def trials_of(options: Any, drawn: Surface) -> pd.DataFrame:
    """The trials of a plan as the analysis takes them, by the surface alone."""
    chosen = options.plan
    records = [
        pretended(
            Rehearsal(
                study="looked", scale=chosen.scale.name, cohort=cohort, surface=drawn,
                responses=(chosen.metrics[TOP1],), costs=chosen.costs(), storage="",
                code_version={},
            ),
            trial,
        )
        for cohort in chosen.cohorts
        for trial in cohort.trials
    ]  # fmt: skip
    return trials_table(chosen.design(), records)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_an_effect_is_found_at_once_and_none_is_not(home: Path, method: str) -> None:
    options = options_of(study(method=method, first=4, futility=0), ["--rehearse"])
    design = options.plan.design()
    clear = looks_taken(design, trials_of(options, surface(0.2)), {"depth": 12}, [])
    assert [(one.num_seeds, one.stops) for one in clear] == [(4, True), (6, True), (7, True)]
    assert clear[0].claims[0].verdict == "supported"
    none = looks_taken(design, trials_of(options, surface(0.0, draw=3)), {"depth": 12}, [])
    assert [one.stops for one in none] == [False, False, True]
    assert none[-1].why == "C1 is open; these are the most seeds"


@pytest.mark.slow
def test_a_claim_about_another_scale_decides_nothing(home: Path) -> None:
    """Claims of the design are the test's: a plan refuses looks that no claim can decide."""
    options = options_of(study(first=4, futility=0), ["--rehearse"])
    design, table = options.plan.design(), trials_of(options, surface(0.2))
    (near,) = design.claims
    far = replace(near, claim=Claim("C2", "It is.", Contrast("depth", 6, 3), scale="paper"))
    both = looks_taken(replace(design, claims=(near, far)), table, {"depth": 12}, [])
    assert [one.id for one in both[0].claims] == ["C1"]
    assert both[0].stops and both[0].why == "1 claim decided"
    alone = looks_taken(replace(design, claims=(far,)), table, {"depth": 12}, [])
    assert [one.stops for one in alone] == [False, False, True]
    assert alone[0].why == "no claim can be judged at this scale"


@pytest.mark.slow
def test_without_a_chance_a_study_stops_early(home: Path) -> None:
    options = options_of(study(method="pocock", most=15, futility=0.2), ["--rehearse"])
    design, whole = options.plan.design(), trials_of(options, surface(0.0, draw=3))
    taken = looks_taken(design, whole, {"depth": 12}, [])
    first = next(one for one in taken if one.stops)
    assert first.num_seeds < 15
    assert "with a chance under 20 %" in first.why


@pytest.mark.slow
def test_a_width_stops_a_study_when_every_main_effect_is_known(home: Path) -> None:
    options = options_of(study(until=0.05, first=2), ["--rehearse"])
    taken = looks_taken(options.plan.design(), trials_of(options, surface(0.01)), {"depth": 12}, [])
    widths = [None if one.widest is None else 2 * one.widest.half_width for one in taken]
    assert [one.stops for one in taken[:-1]] == [w is not None and w <= 0.05 for w in widths[:-1]]
    assert True in [one.stops for one in taken[:-1]]


@pytest.mark.slow
def test_the_reports_intervals_are_those_of_all_looks(home: Path) -> None:
    tables = {}
    for method in METHODS:
        options = options_of(study(method=method), ["--rehearse"])
        tables[method] = find(options.plan.design(), trials_of(options, surface(0.01)))
    plain = Study(
        name="plain", question="?", base=Recipe.paper(objective=CLIP), seeds=7,
        factors=(Factor("depth", at="text.layers", levels=(3, 6, 12)),), responses=(TOP1,),
    )  # fmt: skip
    options = options_of(plain, ["--rehearse"])
    once = find(options.plan.design(), trials_of(options, surface(0.01)))
    for found in tables.values():
        for one, alone in zip(found.primary.contrasts, once.primary.contrasts, strict=True):
            assert one.estimate == pytest.approx(alone.estimate, abs=1e-12)
            assert alone.half_width < one.half_width < 3 * alone.half_width
            assert one.p_value > alone.p_value
        assert (found.primary.means["ci_high"] > once.primary.means["ci_high"]).all()


@pytest.mark.slow
def test_a_decision_is_made_once_and_a_study_goes_on_at_its_look(home: Path) -> None:
    """The runs are the test's own: which seeds they are given is what is judged."""
    options = options_of(study(futility=0), ["--rehearse"])
    store = Folder(options.storage).sub(*options.folder)
    given: list[int] = []

    def run(part: Any) -> Any:
        given.append(len({trial.seed for trial in part.plan.trials}))
        table = trials_of(part, surface(0.0, draw=3))
        report = type("Looked", (), {})()
        report.looks = tuple(looks_taken(part.plan.design(), table, {"depth": 12}, []))
        outcome = Outcome()
        outcome.interrupted = stopped and given[-1] == 5
        return outcome, report

    stopped = True
    look_by_look(options, run, store, Live(options.plan))
    assert given == [3, 5]
    assert list(decisions_before(store, options.plan)) == ["3"]
    stopped = False
    last, _ = look_by_look(options, run, store, Live(options.plan))
    assert given == [3, 5, 5, 7]
    assert len(last.trials) == 21
    known = decisions_before(store, options.plan)
    assert [words.partition(":")[0] for words in known.values()] == ["goes on", "goes on", "stops"]
    design, table = options.plan.design(), trials_of(options, surface(0.2))
    note_decision(store, options.plan, looks_taken(design, table, {"depth": 12}, [])[0])
    assert decisions_before(store, options.plan) == known


def test_a_plan_prices_the_first_look_and_the_most(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_plan(options_of(study(), ["--plan"]))
    plan = capsys.readouterr().out
    assert "looks   after 3 seeds and each 2 more, at most 7, until every claim is decided" in plan
    assert "first   9 trials with 3 seeds, 9 of them new" in plan
    assert "total   21 trials" in plan
    (width,) = re.findall(r"intervals at the most are (\d\.\d\d) times as wide", plan)
    assert 1.1 < float(width) < 2
    print_plan(options_of(study(), ["--plan", "--json"]))
    told = json.loads(capsys.readouterr().out)
    assert told["looks"]["seeds"] == [3, 5, 7]
    assert (told["looks"]["first_price"]["new"], told["price"]["new"]) == (9, 21)


@pytest.mark.slow
def test_draws_are_judged_by_the_intervals_of_the_last_look(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Oracle: of intervals around the same estimates the longer ones leave 0 out less often."""
    effects, asked = {"depth=6": 0.005}, ["--draws", "60", "--json", "--rehearse"]
    (tmp_path / "s.json").write_text(json.dumps({"mean": 0.4, "effects": effects, "noise": NOISE}))
    shares = {}
    for method in METHODS:
        print_power(options_of(study(method=method), [*asked, str(tmp_path / "s.json")]))
        (claim,) = json.loads(capsys.readouterr().out)["claims"]
        shares[method] = claim["supported"]
    assert 0 < shares["anytime"] < shares["pocock"] <= shares["obrien-fleming"] < 1


@pytest.mark.slow
def test_a_study_runs_until_its_look_decides(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    looked, file = study(first=4), tmp_path / "surface.json"
    file.write_text(json.dumps({"mean": 0.4, "effects": {"depth=6": 0.2}, "noise": NOISE}))
    assert rehearsed(looked, str(file)) == 0
    told = capsys.readouterr()
    assert "look 1 of at most 3: 4 seeds" in told.err
    assert "stops: 1 claim decided" in told.err
    assert "look 2" not in told.err
    options = pretend(looked, [str(file)])
    folder = Folder(options.storage).sub(*options.folder)
    page = Path(folder.path(options.plan.variation, "report", "report.md")).read_text()
    assert "## Looks" in page
    assert "anytime-valid" in page
    # Its trials lay there before it was stated.
    assert "The rule was stated after 12 of the trials had ended." in page
    assert "these guarantees are not those of a rule that was stated before" in page
    design = json.loads(
        Path(folder.path(options.plan.variation, "report", "design.json")).read_text()
    )
    assert design["sequential"]["most"] == 7
    assert design["seeds"] == [0, 1, 2, 3]
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("looked_rehearsal")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.`seedbed.looks` != ''")
    assert {run.data.tags["seedbed.looks"] for run in runs} == {looked.looks.words}


@pytest.mark.slow
def test_a_screened_study_goes_on_at_its_look_when_it_is_started_again(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three seeds are too few for an effect of three times the noise, by hand, and six too many."""
    searched = Study(
        name="looked",
        question="Is deeper better?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("depth", at="text.layers", levels=(1, 2)),),
        responses=(TOP1,),
        claims=(Claim("C1", "Deeper is better.", Contrast("depth", 2, 1)),),
        nuisance=(Search("optimizer.lr", low=1e-4, high=1e-2, log=True),),
        tuning=Tuning(trials=3, screening=Screening(rungs=(0.5,), keep=1 / 3)),
        looks=Looks(first=3, by=1, most=6, method="pocock", futility=0),
    )
    values = {"mean": 0.3, "effects": {"depth=2": 0.02}, "noise": 0.006, "random_state": 4}
    (tmp_path / "s.json").write_text(json.dumps(values))
    asked = ["--scale", "smoke", "--rehearse", str(tmp_path / "s.json")]
    options = options_of(searched, asked)
    found = tune_cells(options.plan, writing(options), kept)
    writing(options)(options.plan.with_tuned(found), 0)
    said = []
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            main(searched, asked)
        assert not ended.value.code
        said.append(capsys.readouterr().err)
    store = Folder(options.storage).sub(*options.folder)
    decided = decisions_before(store, options.plan)
    assert {int(n): words.split(":")[0] for n, words in decided.items()} == {
        3: "goes on",
        4: "stops",
    }
    assert [f"look {number} of at most 4" in said[0] for number in (1, 2, 3)] == [True, True, False]
    assert [f"look {number} of at most 4" in said[1] for number in (1, 2, 3)] == [
        False,
        True,
        False,
    ]
    table = pd.read_csv(store.path(options.plan.variation, "report", "trials.csv"))
    assert sorted(table["seed"]) == [0, 0, 1, 1, 2, 2, 3, 3]
