"""Oracle: what MLflow itself returns from a real sqlite store, read by its own client."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from seedbed.study.record import STATUSES
from seedbed.track.mlflow.connection import client
from seedbed.track.mlflow.ledger import is_refused
from seedbed.track.outbox import CurvePoint

pytestmark = pytest.mark.slow

World = Any  # conftest.World
FINALS = ("zeroshot/top1", "zeroshot/top5", "cost/image_views", "train/final_loss")


def test_a_study_is_one_run_with_a_child_for_each_trial(world: World) -> None:
    world.told()
    (study,) = world.study_runs()
    assert study.info.status == "FINISHED"
    for i in range(2):
        run = world.run_of(i)
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.parentRunId"] == study.info.run_id
    assert world.run_of(1).info.run_name == "depth=6 supervision=declip s=0"


def test_params_are_the_factors_the_seed_and_the_recipe(world: World) -> None:
    world.told()
    assert world.run_of(0).data.params == {
        "supervision": "clip",
        "depth": "3",
        "seed": "0",
        "text.layers": "3",
    }


def test_constants_are_the_recipes_own_fields_on_the_study_run(world: World) -> None:
    params = {
        "optimizer.lr": 1e-3,
        "corpus.uri": "https://me:hunter2@host/x.tar?X-Amz-Signature=abc",
        "corpus.access_key": "hunter2",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
        "env.HOME": "/home/me",
    }
    world.opened(params=params)
    (study,) = world.study_runs()
    assert study.data.params == {"optimizer.lr": "0.001", "corpus.uri": "https://host/x.tar"}


def test_the_step_is_samples_seen_and_finals_stand_at_the_last(world: World) -> None:
    world.told()
    assert [step for step, _ in world.history(0, "train/loss")] == [256 * i for i in range(1, 41)]
    assert world.history(0, "zeroshot/top1") == [(40 * 256, 0.1 + 0.2)]


def test_trials_carry_the_tags_that_say_what_they_were(world: World) -> None:
    world.told()
    tags = world.run_of(0).data.tags
    expected = {
        "seedbed.study": "text_depth",
        "seedbed.trial_key": "a" * 16,
        "seedbed.cell": '{"supervision": "clip", "depth": 3}',
        "seedbed.cohort": "c0",
        "seedbed.data_fingerprint": "f" * 16,
        "seedbed.order_hash": "0" * 15 + "1",
        "seedbed.recipe_key": "a" * 16,
        "seedbed.status": "completed",
        "seedbed.scale": "demo",
        "mlflow.source.name": "studies/text_depth.py",
        "mlflow.source.git.commit": "1" * 40,
    }
    assert expected.items() <= tags.items()
    (study,) = world.study_runs()
    assert "samples seen" in study.data.tags["mlflow.note.content"]
    assert "Is text depth worth its cost?" in study.data.tags["mlflow.note.content"]


def test_what_mlflow_will_never_take_is_told_from_what_may_come_through_later(
    world: World,
) -> None:
    with pytest.raises(MlflowException) as absent:
        world.mlflow.get_run("0" * 32)
    assert is_refused(absent.value)
    runs = world.opened()
    runs.open_trial(world.trial(0))
    run = world.run_of(0)
    world.mlflow.delete_run(run.info.run_id)
    with pytest.raises(MlflowException) as deleted:
        runs.log_points("a" * 16, [CurvePoint(1, 1, {"a": 1.0})])
    assert is_refused(deleted.value)
    with pytest.raises(MlflowException) as dead:
        client("http://127.0.0.1:9").get_run("0" * 32)
    assert not is_refused(dead.value)


def test_finals_are_what_mlflow_shows_even_when_the_curve_went_on(world: World) -> None:
    ledger = world.ledger()
    ledger.open_study(world.entry())
    ledger.open_trial(world.trial(0))
    ledger.log("a" * 16, 99 * 256, {"zeroshot/top1": 0.9})
    ledger.finish(world.record(0))
    assert not ledger.close(60)
    assert world.run_of(0).data.metrics["zeroshot/top1"] == 0.1 + 0.2


def test_values_that_are_no_numbers_are_left_out_and_named(world: World) -> None:
    ledger = world.ledger()
    ledger.open_study(world.entry())
    ledger.open_trial(world.trial(0))
    ledger.log("a" * 16, 256, {"train/loss": math.nan, "train/lr": math.inf, "train/ok": 1.0})
    ledger.log("a" * 16, 256, None)  # type: ignore[arg-type]
    record = world.record(0, status="diverged", curve=(), metrics={"zeroshot/top1": math.nan})
    ledger.finish(record)
    assert not ledger.close(60)
    run = world.run_of(0)
    assert run.data.metrics == {"train/ok": 1.0}
    assert run.data.tags["seedbed.missing_metrics"] == '["zeroshot/top1"]'


@pytest.mark.parametrize("status", STATUSES)
def test_a_trial_ends_as_its_status_says_and_the_study_is_finished_only_when_all_are_completed(
    world: World, status: str
) -> None:
    ledger = world.ledger()
    ledger.open_study(world.entry())
    ledger.finish(world.record(0, status=status, reason="so it was"))
    ledger.finish(world.record(1))
    assert not ledger.close(60)
    expected = {"completed": "FINISHED", "diverged": "FAILED", "failed": "FAILED"}
    run, (study,) = world.run_of(0), world.study_runs()
    assert run.info.status == study.info.status == expected.get(status, "KILLED")
    assert run.data.tags["seedbed.status"] == status
    assert run.data.tags["seedbed.reason"] == "so it was"


def test_a_study_with_a_planned_trial_that_never_came_is_not_finished(world: World) -> None:
    ledger = world.ledger()
    ledger.open_study(world.entry())
    ledger.finish(world.record(0))
    assert not ledger.close(60)
    (study,) = world.study_runs()
    assert study.info.status == "KILLED"
    assert study.data.tags["seedbed.reason"] == "1 of 2 trials are completed"


def test_an_interrupted_trial_is_killed_and_one_that_ended_stays_as_it_was(world: World) -> None:
    ledger = world.ledger()
    ledger.open_study(world.entry())
    ledger.open_trial(world.trial(0))
    ledger.open_trial(world.trial(1))
    ledger.finish(world.record(1))
    for i in range(2):
        ledger.interrupt(world.record(i).key, "Ctrl-C")
    assert not ledger.close(60)
    assert world.run_of(0).info.status == "KILLED"
    assert world.run_of(0).data.tags["seedbed.status"] == "interrupted"
    assert world.run_of(0).data.tags["seedbed.reason"] == "Ctrl-C"
    assert world.run_of(1).info.status == "FINISHED"


def test_no_trial_stays_running_when_a_study_is_closed(world: World) -> None:
    ledger = world.ledger()
    ledger.open_study(world.entry())
    ledger.open_trial(world.trial(0))
    assert not ledger.close(60)
    assert world.run_of(0).info.status == "KILLED"


def test_a_missing_file_is_named_and_all_else_is_kept(world: World) -> None:
    ledger = world.ledger()
    ledger.open_study(world.entry())
    ledger.finish(world.record(0), {"examples/x.csv": world.folder / "absent.csv"})
    unsent = ledger.close(60)
    assert unsent.keys == ("a" * 16,)
    assert "absent.csv" in unsent.reason
    assert world.run_of(0).info.status == "FINISHED"
    assert set(FINALS) <= set(world.run_of(0).data.metrics)


def test_an_analysis_is_a_child_run_of_its_own_found_again(world: World) -> None:
    for _ in range(2):
        ledger = world.ledger()
        ledger.open_study(world.entry())
        ledger.attach({"report/effects.csv": world.examples()}, analysis="zeroshot/top1")
        assert not ledger.close(60)
    found = world.snapshot()["analysis zeroshot/top1"]
    assert found["parent"] == "text_depth demo"
    assert found["status"] == "FINISHED"
    assert list(found["files"]) == ["report/effects.csv"]


def test_nothing_is_written_to_the_working_directory(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "cwd"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    world.told()
    assert list(elsewhere.iterdir()) == []
    assert list(tmp_path.glob("mlartifacts/text_depth/*/artifacts/design.json"))


def test_nothing_is_printed_and_no_run_is_made_active(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    import mlflow

    world.told()
    assert capsys.readouterr().out == ""
    assert mlflow.active_run() is None


def test_a_ledger_that_was_never_opened_closes_in_peace(world: World) -> None:
    assert not world.ledger().close(10)
