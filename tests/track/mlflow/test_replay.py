"""Oracle: what MLflow itself returns after the same study was told without trouble."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seedbed.track.mlflow.reader import read_trials
from seedbed.track.mlflow.study_runs import MlflowRuns
from seedbed.track.mlflow.trial_run import RUN_STATUS, search
from seedbed.track.outbox import CurvePoint

World = Any  # conftest.World


def now() -> int:
    return time.time_ns() // 1_000_000


@pytest.mark.slow
def test_to_tell_everything_again_changes_nothing(world: World) -> None:
    first = world.told()
    assert world.told() == first
    assert len(world.history(0, "train/loss")) == 40


@pytest.mark.slow
def test_a_record_that_is_there_is_not_sent_again(world: World) -> None:
    world.told()
    runs = world.opened()
    database = Path(world.uri.removeprefix("sqlite:///"))
    artifacts = list(database.parent.rglob("mlartifacts/**/*.*"))
    assert len(artifacts) >= 8
    before = database.read_bytes(), [path.stat().st_mtime_ns for path in artifacts]
    for i in range(2):
        runs.finish(world.record(i), {"examples/cifar.csv": world.examples()}, now())
    assert before == (database.read_bytes(), [path.stat().st_mtime_ns for path in artifacts])
    runs.finish(world.record(0, reason="another"), {}, now())
    assert database.read_bytes() != before[0]


@pytest.mark.slow
@pytest.mark.parametrize("step", range(6))
def test_a_record_cut_off_anywhere_is_completed(world: World, step: int) -> None:
    whole = world.told()["depth=3 supervision=clip s=0"]
    world.mlflow.delete_run(world.run_of(0).info.run_id)  # begin again, in a store with a past
    runs = world.opened()
    record, files = world.record(0), {"examples/cifar.csv": world.examples()}
    half = world.record(0, curve=record.curve[:20])
    if step >= 1:
        runs.open_trial(world.trial(0))
    if step >= 2:
        points = [(int(p["samples"]), p) for p in half.curve]
        runs.log_points(
            record.key,
            [
                CurvePoint(n, now(), {k: v for k, v in p.items() if k != "samples"})
                for n, p in points
            ],
        )
    for run in search(world.mlflow, runs.experiment_id, {"seedbed.trial_key": record.key}):
        if step >= 3:
            run.log_finals({"zeroshot/top1": 0.1 + 0.2}, record.last_samples, now())
        if step >= 4:
            run.upload_json("record.json", {"cut": "off"})
        if step >= 5:
            run.set_status("completed")
    again = world.opened()
    again.finish(record, files, now())
    again.finish(world.record(1), files, now())
    again.close()
    found = world.snapshot()["depth=3 supervision=clip s=0"]
    assert found == whole


@pytest.mark.slow
def test_a_trial_goes_on_in_its_run_after_the_driver_was_killed(world: World) -> None:
    whole = world.told()["depth=3 supervision=clip s=0"]
    world.mlflow.delete_run(world.run_of(0).info.run_id)
    killed = world.opened()
    killed.open_trial(world.trial(0))
    run_id = world.run_of(0).info.run_id
    ledger = world.ledger()
    ledger.open_study(world.entry())
    ledger.open_trial(world.trial(0))
    for point in world.record(0).curve:
        ledger.log("a" * 16, point["samples"], {k: point[k] for k in ("train/loss", "train/lr")})
    ledger.finish(world.record(0), {"examples/cifar.csv": world.examples()})
    assert not ledger.close(60)
    assert world.run_of(0).info.run_id == run_id
    assert world.snapshot()["depth=3 supervision=clip s=0"] == whole


class LosesAnswers:
    """A client whose calls are all carried out; the first answer of each method, and a quarter
    of the others, is lost."""

    def __init__(self, mlflow: Any, seed: int) -> None:
        self.mlflow = mlflow
        self.random = random.Random(seed)
        self.lost: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            answer = getattr(self.mlflow, name)(*args, **kwargs)
            if name not in self.lost or self.random.random() < 1 / 4:
                self.lost.add(name)
                raise ConnectionError("the answer was lost")
            return answer

        return call


def insist(request: Callable[..., None], *args: Any) -> None:
    for _ in range(100):
        with contextlib.suppress(ConnectionError):
            return request(*args)
    raise AssertionError("it never came through")


@pytest.mark.slow
def test_requests_carried_out_whose_answer_was_lost_leave_nothing_twice(world: World) -> None:
    whole = world.told()
    for run in [*world.study_runs(), world.run_of(0), world.run_of(1)]:
        world.mlflow.delete_run(run.info.run_id)
    mlflow = LosesAnswers(world.mlflow, seed=1)
    runs = MlflowRuns(world.uri, "text_depth", connect=lambda uri: mlflow)
    insist(runs.open_study, world.entry())
    insist(runs.open_view)
    for i in range(2):
        insist(runs.open_trial, world.trial(i))
        record, files = world.record(i), {"examples/cifar.csv": world.examples()}
        for point in record.curve[:5]:
            values = {name: point[name] for name in ("train/loss", "train/lr")}
            insist(runs.log_points, record.key, [CurvePoint(point["samples"], now(), values)])
        insist(runs.finish, record, files, now())
    insist(runs.attach, {"report/trials.csv": world.examples()}, "")
    insist(runs.close)
    assert mlflow.lost >= {"create_run", "log_batch", "set_terminated", "log_artifact"}
    assert len(world.snapshot()) == 3
    assert world.snapshot() == whole
    assert len(world.study_runs()) == 1


def test_steps_trained_twice_are_logged_once(world: World) -> None:
    for start, stop in ((0, 30), (20, 40)):  # killed at 30, resumed from a checkpoint at 20
        ledger = world.ledger()
        ledger.open_study(world.entry())
        ledger.open_trial(world.trial(0))
        for point in world.record(0).curve[start:stop]:
            ledger.log("a" * 16, point["samples"], {"train/loss": point["train/loss"]})
        assert not ledger.close(60)
    expected = [(p["samples"], p["train/loss"]) for p in world.record(0).curve]
    assert world.history(0, "train/loss") == expected


def test_trials_left_running_by_a_dead_driver_are_killed_at_the_next_start(world: World) -> None:
    dead = world.opened()
    for i in range(2):
        dead.open_trial(world.trial(i))
    runs = world.opened()
    runs.open_trial(world.trial(1))
    assert world.run_of(0).info.status == "KILLED"
    assert world.run_of(0).data.tags["seedbed.status"] == "interrupted"
    assert world.run_of(1).info.status == "RUNNING"
    assert world.run_of(1).data.tags["seedbed.status"] == "running"


@pytest.mark.slow
def test_a_failed_trial_that_is_tried_again_ends_as_the_second_try(world: World) -> None:
    first = world.record(0, status="failed", reason="out of memory", metrics={}, curve=())
    for record in (first, world.record(0), first, world.record(0)):
        ledger = world.ledger()
        ledger.open_study(world.entry())
        ledger.open_trial(world.trial(0))
        ledger.finish(record)
        assert not ledger.close(60)
        run = world.run_of(0)
        assert run.info.status == RUN_STATUS[record.status]
        assert run.data.tags["seedbed.reason"] == record.reason
    assert len(world.history(0, "train/loss")) == 40


@pytest.mark.slow
def test_more_seeds_continue_a_study_and_other_overrides_begin_another(world: World) -> None:
    world.opened()
    world.opened(design={"trials": [], "seeds": [0, 1, 2]})
    assert len(world.study_runs()) == 1
    world.opened(design={"overrides": {"optimizer.lr": "0.1"}})
    world.opened(design={"data": {"uri": "/corpora/other"}})
    world.opened(scale="small")
    assert len(world.study_runs()) == 4


@pytest.mark.slow
def test_a_renamed_level_does_not_stop_its_trial(world: World) -> None:
    world.told()
    runs = world.opened()
    runs.finish(world.record(0, cell={"supervision": "plain", "depth": 3}), {}, now())
    run = world.run_of(0)
    assert run.data.tags["seedbed.cell"] == '{"supervision": "plain", "depth": 3}'
    assert run.data.params["supervision"] == "clip"  # MLflow never changes a param


@pytest.mark.slow
def test_a_record_keeps_the_commit_that_it_was_trained_with(world: World) -> None:
    world.told()
    later = world.entry().tags | {"mlflow.source.git.commit": "2" * 40}
    runs = world.opened(tags=later)
    runs.finish(world.record(0), {"examples/cifar.csv": world.examples()}, now())
    assert world.run_of(0).data.tags["mlflow.source.git.commit"] == "1" * 40


def test_a_trial_that_was_never_opened_takes_no_points_but_a_record(world: World) -> None:
    ledger = world.ledger()
    ledger.open_study(world.entry())
    ledger.log("a" * 16, 256, {"train/loss": 1.0})
    ledger.finish(world.record(0))
    assert not ledger.close(60)
    assert len(world.history(0, "train/loss")) == 40


@pytest.mark.slow
def test_a_trial_trained_anew_on_other_data_has_a_run_of_its_own(world: World) -> None:
    key = world.trial(0).key
    ledger = world.ledger()
    ledger.open_study(world.entry())
    ledger.open_trial(replace(world.trial(0), data="old"))
    ledger.log(key, 256, {"train/loss": 9.0})
    ledger.finish(replace(world.record(0), data_fingerprint="old"))
    assert not ledger.close()
    again = world.ledger()
    again.open_study(world.entry())
    again.open_trial(replace(world.trial(0), data="new"))
    again.log(key, 256, {"train/loss": 1.0})
    again.finish(replace(world.record(0, curve=()), data_fingerprint="new"))
    assert not again.close()
    (run,) = world.search("tags.`seedbed.kind` = 'trial'")
    history = world.mlflow.get_metric_history(run.info.run_id, "train/loss")
    assert [(m.step, m.value) for m in history] == [(256, 1.0)]
    (old,) = world.search("tags.`seedbed.kind` = 'superseded'")
    assert old.info.status == "KILLED"
    (trial,) = read_trials(world.uri, "text_depth", "demo")
    assert trial.record.data_fingerprint == "new"
