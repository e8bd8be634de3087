"""What runs when a study grows, and what another study had already. Oracle: cells by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.fixtures.studies import opened, small_plan

from seedbed import Factor, Recipe, Study
from seedbed.commands.study.options import options_of
from seedbed.commands.study.price import Price
from seedbed.commands.study.price_lines import price_lines
from seedbed.data.order import ORDER_SCHEMA
from seedbed.plan.plan import Plan, plan
from seedbed.recall import table_of
from seedbed.recipe.scale import SCALES
from seedbed.run.driver.outcome import Outcome, read_outcome
from seedbed.run.driver.resume import starts
from seedbed.run.driver.reuse import reuse
from seedbed.storage.folder import Folder
from seedbed.study.record import TrialRecord
from seedbed.study.screening import to_rung
from seedbed.study.trial import Trial
from seedbed.track.finished import note_finished
from seedbed.variants import CLIP


def record(of: Plan, trial: Trial, corpora: Any, **other: Any) -> TrialRecord:
    fields = {
        "key": trial.key, "study": of.study.name, "scale": of.scale.name, "cell": trial.cell,
        "seed": trial.seed, "cohort": "c", "status": "completed", "test_digest": "pictures",
        "metrics": {"zeroshot/top1_of_100": 0.1 + trial.seed},
        "data_fingerprint": corpora[trial.recipe.corpus].fingerprint,
        "order_schema": ORDER_SCHEMA, "recipe_key": trial.key, "weights": "w",
    }  # fmt: skip
    return TrialRecord(**(fields | other))


def trained(top: Folder, name: str, of: Plan, corpora: Any, **other: Any) -> Folder:
    """The study `name`, all of whose trials have ended, with a file beside each record."""
    store = top.sub(name)
    for trial in of.trials:
        values = record(of, trial, corpora, **other).to_json()
        store.write_json(values, "trials", trial.key, "record.json")
        store.write_bytes(b"scores", "trials", trial.key, "tests", "one.parquet")
        store.write_bytes(b"weights", "trials", trial.key, "model.safetensors")
    note_finished(top, name, [trial.key for trial in of.trials])
    return store


def grown(shapes: Path, of: Plan, seeds: tuple[int, ...] = (0,), **factors: Factor) -> Plan:
    """The small study with other factors, and all else as it was."""
    study = Study(
        name="grown",
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=tuple(factors.values()),
        responses=("zeroshot/top1_of_100",),
    )
    return plan(study, SCALES["smoke"], overrides=dict(of.overrides), seeds=seeds)


DEPTH = Factor("depth", at="text.layers", levels=(1, 2))
USUAL = small_plan("none").trials[0].recipe.optimizer.lr  # what ran before there was a factor
RATE = Factor("rate", at="optimizer.lr", levels=(USUAL, USUAL / 2))

SLOWER = {f"depth={depth} rate={USUAL / 2:g} s=0" for depth in (1, 2)}


@pytest.mark.parametrize(
    ("factors", "seeds", "new"),
    [
        ({"depth": Factor("depth", at="text.layers", levels=(1, 2, 3))}, (0,), {"depth=3 s=0"}),
        ({"depth": DEPTH}, (0, 1), {"depth=1 s=1", "depth=2 s=1"}),
        ({"depth": DEPTH, "rate": RATE}, (0,), SLOWER),
        ({"deep": Factor("deep", at="text.layers", levels={"one": 1, "two": 2})}, (0,), set()),
    ],
    ids=["a level", "a seed", "a factor", "other words"],
)  # fmt: skip
def test_a_study_that_grows_runs_its_new_trials_alone(
    shapes: Path, tmp_path: Path, factors: dict[str, Factor], seeds: tuple[int, ...], new: set[str]
) -> None:
    first = small_plan(shapes)
    corpora = opened(first, tmp_path)
    store = trained(Folder(str(tmp_path / "results")), "small", first, corpora)
    more = grown(shapes, first, seeds, **factors)
    outcome = read_outcome(store, more.trials, corpora)
    begun = {t.name for start in starts(store, more, outcome, corpora) for t in start.cohort.trials}
    assert begun == new
    table = table_of(more.design(), outcome.records.values())
    assert (table["status"] == "completed").sum() == len(more.trials) - len(new) == 2


@pytest.mark.parametrize(
    "other", [{"order_schema": ORDER_SCHEMA - 1}, {"data_fingerprint": "of other data"}]
)
def test_records_of_another_order_or_of_other_data_do_not_count(
    shapes: Path, tmp_path: Path, other: dict[str, Any]
) -> None:
    what = small_plan(shapes)
    corpora = opened(what, tmp_path)
    store = trained(Folder(str(tmp_path / "results")), "small", what, corpora)
    keys = {trial.key for trial in what.trials}
    assert read_outcome(store, what.trials, corpora).records.keys() == keys
    trained(Folder(str(tmp_path / "results")), "small", what, corpora, **other)
    outcome = read_outcome(store, what.trials, corpora)
    assert not outcome.records and outcome.stale.keys() == keys


def test_another_study_s_finished_trials_are_taken_over_with_their_files_and_origin(
    shapes: Path, tmp_path: Path
) -> None:
    top, first = Folder(str(tmp_path / "results")), small_plan(shapes)
    corpora = opened(first, tmp_path)
    trained(top, "first", first, corpora)
    more = grown(shapes, first, depth=Factor("depth", at="text.layers", levels=(1, 2, 3)))
    store, outcome = top.sub("grown"), Outcome()
    taken = reuse(top, store, more, outcome, corpora)
    assert taken == dict.fromkeys([trial.key for trial in first.trials], "first")
    known = read_outcome(store, more.trials, corpora).records
    assert known == outcome.records
    for trial in first.trials:
        kept = known[trial.key]
        assert (kept.study, kept.origin, kept.weights) == ("grown", "first", "w")
        assert kept.metrics == record(first, trial, corpora).metrics
        assert store.read_bytes("trials", trial.key, "tests", "one.parquet") == b"scores"
    assert reuse(top, store, more, outcome, corpora) == {}  # what is here is not asked for
    # From there a third takes them over as trained by the first; here without their weights.
    note_finished(top, "grown", outcome.records)
    top.remove("first")
    third, out = top.sub("third"), Outcome()
    reuse(top, third, first, out, corpora, keep_weights=False)
    assert {kept.origin for kept in out.records.values()} == {"first"}
    assert not third.exists("trials", first.trials[0].key, "model.safetensors")


@pytest.mark.parametrize(
    "other",
    [
        {"data_fingerprint": "other data"},
        {"order_schema": ORDER_SCHEMA - 1},
        {"status": "interrupted"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_record_of_other_data_or_order_stands_for_no_trial(
    shapes: Path, tmp_path: Path, other: dict[str, Any]
) -> None:
    top, first = Folder(str(tmp_path / "results")), small_plan(shapes)
    corpora = opened(first, tmp_path)
    trained(top, "first", first, corpora, **other)
    assert reuse(top, top.sub("second"), first, Outcome(), corpora) == {}
    assert top.sub("second").sizes() == {}


@pytest.mark.parametrize("status", ["completed", "interrupted"])
def test_nothing_that_was_stopped_before_its_budget_stands_for_a_trial_that_is_compared(
    shapes: Path, tmp_path: Path, status: str
) -> None:
    """The rungs of a screening, a candidate that got the whole budget, and trials that were stopped
    by hand: why the lint need not ask whether anything ends early."""
    top, own = Folder(str(tmp_path / "results")), small_plan(shapes)
    corpora = opened(own, tmp_path)
    screened = [
        Trial(trial.cell, to_rung(trial.recipe, share), searched=("optimizer.lr",))
        for trial in own.trials
        for share in (1 / 3, 1.0)
    ]
    if status == "completed":
        trained(top, "search", own.of_trials(screened), corpora, role="search")
        # Under the keys of trials that are compared, too.
        trained(top, "other", own, corpora, role="search")
    else:
        trained(top, "stopped", own, corpora, status=status)
    outcome = Outcome()
    assert reuse(top, top.sub("second"), own, outcome, corpora) == {} == outcome.records
    assert not {trial.key for trial in screened} & {trial.key for trial in own.trials}
    # What a trial had measured until it was stopped is no value of its cell.
    known = [record(own, trial, corpora, status=status) for trial in own.trials]
    values = table_of(own.design(), known).get("zeroshot/top1_of_100", pd.Series(dtype=float))
    assert values.notna().sum() == (len(own.trials) if status == "completed" else 0)


def test_those_that_were_scored_on_other_pictures_than_the_study_s_own_are_left(
    shapes: Path, tmp_path: Path
) -> None:
    top, first = Folder(str(tmp_path / "results")), small_plan(shapes)
    corpora = opened(first, tmp_path)
    trained(top, "first", first, corpora)
    own = first.trials[0]
    known = replace(record(first, own, corpora), test_digest="other pictures")
    outcome = Outcome(records={own.key: known})
    assert reuse(top, top.sub("second"), first, outcome, corpora) == {}


def test_the_plan_says_how_many_trials_are_reused_from_which_study(
    home: Path, tmp_path: Path
) -> None:
    study = Study(
        name="mine",
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=(DEPTH,),
        responses=("zeroshot/top1_of_100",),
    )
    storage = str(tmp_path / "results")
    options = options_of(study, ["--scale", "smoke", "--seeds", "2", "--storage", storage])
    top, trials = Folder(storage), options.plan.trials
    for name, own in (("theirs", trials[:3]), ("mine", trials[3:])):
        for trial in own:
            values = TrialRecord(
                key=trial.key, study=name, scale="smoke", cell=trial.cell, seed=trial.seed,
                cohort="c", status="completed",
            ).to_json()  # fmt: skip
            top.sub(name).write_json(values, "trials", trial.key, "record.json")
        note_finished(top, name, [trial.key for trial in own])
    price = Price(options, [])
    assert price.left == []
    told = price.to_json()
    assert (told["new"], told["reused"], told["reused_from"]) == (0, 4, {"theirs": 3})
    lines = "\n".join(price_lines(price))
    assert "reused  3 trials from theirs" in lines
    assert "0 trials to train; 1 are recorded" in lines
