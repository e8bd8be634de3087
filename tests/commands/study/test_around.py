"""A study around the best cell of another. Oracle: records written here, whose best is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seedbed import Factor, Recipe, Study, best, main
from seedbed.commands.study.around import AROUND
from seedbed.commands.study.options import options_of
from seedbed.data.opening import open_corpora
from seedbed.data.order import ORDER_SCHEMA
from seedbed.errors import StudyError
from seedbed.home import home as home_folder
from seedbed.plan.plan import Plan, plan
from seedbed.recipe.scale import SCALES
from seedbed.storage.folder import Folder
from seedbed.study.record import TrialRecord
from seedbed.track.finished import note_finished
from seedbed.track.state import PLANNED_NAME, STATE_NAME, StudyState, planned_trials
from seedbed.variants import CLIP

TOP1 = "zeroshot/top1_of_100"
DEPTH = Factor("depth", at="text.layers", levels=(1, 2, 3))
RATE = Factor("rate", at="optimizer.lr", levels=(1e-3, 5e-4, 2e-3))
FACTORS = (DEPTH, RATE)


def study(name: str = "around", factors: Any = FACTORS, **design: Any) -> Study:
    return Study(
        name=name,
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=factors,
        responses=(TOP1,),
        **design,
    )


def write(
    storage: Path, chosen: Plan, best_cell: dict[str, Any], phase: str = "complete", **record: Any
) -> None:
    """The results of `chosen`, in which one cell is the best by far, and one seed of another."""
    name, store = chosen.study.name, Folder(str(storage)).sub(chosen.study.name)
    planned = planned_trials(
        name, chosen.variation, [(t.key, t.cell, t.seed, 640) for t in chosen.trials]
    )
    store.write_json(planned.to_json(), PLANNED_NAME)
    outcomes = "c" * len(chosen.trials)
    state = StudyState(
        token="", driver="d", job="", phase=phase, planned=planned.digest, outcomes=outcomes,
        every_seconds=1e6,
    )  # fmt: skip
    store.write_json(state.to_json(), STATE_NAME)
    for n, trial in enumerate(chosen.trials):
        value = 0.5 if dict(trial.cell) == best_cell else 0.3 + 0.01 * trial.seed
        if dict(trial.cell) != best_cell and n < len(chosen.trials) // 4:
            value = 0.6  # of the first seed alone
        made = TrialRecord(
            key=trial.key, study=name, scale="smoke", cell=trial.cell, seed=trial.seed,
            cohort="c", status="completed", metrics={TOP1: value}, order_schema=ORDER_SCHEMA,
        )  # fmt: skip
        made = replace(made, **record)
        store.write_json(made.to_json(), "trials", trial.key, "record.json")
    note_finished(Folder(str(storage)), name, [trial.key for trial in chosen.trials])


def crossed(factors: Any = FACTORS, seeds: int = 3) -> Plan:
    return plan(study("depths", factors), SCALES["smoke"], seeds=tuple(range(seeds)))


def planned(storage: Path, own: Study, *given: str) -> Plan:
    argv = ["--plan", "--scale", "smoke", "--storage", str(storage), *given]
    return options_of(own, argv).plan


@pytest.mark.slow
def test_cells_are_those_around_the_best_mean_over_seeds(tmp_path: Path, home: Path) -> None:
    write(tmp_path, crossed(), {"depth": 2, "rate": 5e-4})
    chosen = planned(tmp_path, study(one_at_a_time=best("depths")))
    assert {tuple(t.cell.values()) for t in chosen.trials} == {
        (2, 5e-4), (1, 5e-4), (3, 5e-4), (2, 1e-3), (2, 2e-3),
    }  # fmt: skip
    words = "one factor at a time around depth=2 rate=0.0005, the best of depths"
    assert str(chosen.study.design) == words
    assert chosen.design().cells == words
    left = planned(tmp_path, study(leave_one_out=best("depths")))
    base = {name: factor.baseline for name, factor in left.design().factors.items()}
    assert {tuple(t.cell.values()) for t in left.trials} == {
        (2, 5e-4), (base["depth"], 5e-4), (2, base["rate"]), tuple(base.values()),
    }  # fmt: skip
    # A factor that the other study does not vary is at its baseline.
    width = Factor("width", at="text.width", levels=(128, 256))
    wide = planned(tmp_path, study(factors=(*FACTORS, width), one_at_a_time=best("depths")))
    assert "depth=2 rate=0.0005 width=" in str(wide.study.design)


@pytest.mark.slow
def test_a_cell_that_lost_a_seed_is_not_the_best_for_that(tmp_path: Path, home: Path) -> None:
    chosen = crossed()
    write(tmp_path, chosen, {"depth": 2, "rate": 5e-4})
    lost = next(t for t in chosen.trials if dict(t.cell) == {"depth": 2, "rate": 5e-4})
    Folder(str(tmp_path)).remove("depths", "trials", lost.key)
    around = str(planned(tmp_path, study(one_at_a_time=best("depths"))).study.design)
    assert "depth=2 rate=0.0005" not in around


@pytest.mark.slow
@pytest.mark.parametrize(
    ("written", "own", "words", "mend"),
    [
        (None, {}, "no study 'depths' has written down", "run 'depths' first, into the same"),
        ({"phase": "running"}, {}, "around the best of 'depths', which is running", "wait for it"),
        ({"status": "failed"}, {}, "which has no completed trial with zeroshot/top1", "finish"),
        ({}, {"factors": (DEPTH,)}, "of 'depths', which has rate=0.001", "Known: depth"),
        (
            {},
            {"factors": (Factor("depth", at="text.layers", levels=(2, 4)), RATE)},
            "one_at_a_time is around the best of 'depths', which has depth=1",
            "The nearest that it has is 2.",
        ),
    ],
)
def test_what_has_no_best_cell_for_a_study_is_refused(
    written: dict[str, Any] | None,
    own: dict[str, Any],
    words: str,
    mend: str,
    tmp_path: Path,
    home: Path,
) -> None:
    if written is not None:
        write(tmp_path, crossed(seeds=1), {"depth": 2, "rate": 5e-4}, **written)
    with pytest.raises(StudyError, match=words) as fault:
        planned(tmp_path, study(one_at_a_time=best("depths"), **own))
    assert mend in fault.value.mend


def test_a_study_that_is_not_there_is_told_with_the_nearest_name(tmp_path: Path) -> None:
    write(tmp_path, crossed(seeds=1), {"depth": 2, "rate": 5e-4})
    with pytest.raises(StudyError, match="no study 'depth' has written down") as fault:
        planned(tmp_path, study(one_at_a_time=best("depth")))
    assert "Did you mean 'depths'?" in fault.value.mend


def test_a_best_cell_is_no_other_design_and_is_looked_up_by_a_command_alone() -> None:
    with pytest.raises(StudyError, match="subset is the best cell of 'depths'") as fault:
        study(subset=best("depths"))
    assert "leave_one_out or one_at_a_time" in fault.value.mend
    with pytest.raises(StudyError, match="around the best of 'depths', which is not known here"):
        plan(study(one_at_a_time=best("depths")), SCALES["smoke"])
    with pytest.raises(StudyError, match="a study is named"):
        best("")


@pytest.mark.slow
def test_the_first_start_records_the_cell_for_later_ones(
    tmp_path: Path, home: Path, shapes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storage, uri = tmp_path / "results", f"sqlite:///{tmp_path / 'mlflow.db'}"
    given = ["--scale", "smoke", "--data", str(shapes), "--set", "budget.samples=640"]
    given += ["--seeds", "1", "--storage", str(storage), "--tracking-uri", uri]
    other = options_of(study("depths", (DEPTH,)), given).plan
    corpus = other.trials[0].recipe.corpus
    mark = open_corpora([corpus], home_folder())[corpus].fingerprint
    write(storage, other, {"depth": 2}, data_fingerprint=mark)
    own = study(factors=(DEPTH,), one_at_a_time=best("depths"))
    with pytest.raises(SystemExit) as ended:
        main(own, given)  # all of its trials are the other's
    assert ended.value.code == 0, capsys.readouterr().err
    store = Folder(str(storage)).sub("around")
    assert store.read_json(AROUND) == {"of": "depths", "levels": {"depth": 2}}
    write(storage, other, {"depth": 3}, data_fingerprint=mark)
    again = options_of(own, given).plan.study
    assert str(again.design) == "one factor at a time around depth=2, the best of depths"
    new = options_of(own, [*given, "--name", "anew"]).plan.study
    assert str(new.design) == "one factor at a time around depth=3, the best of depths"
