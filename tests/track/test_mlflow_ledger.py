"""Oracle: what MLflow itself returns from a real sqlite store, read by its own client."""

from __future__ import annotations

import contextlib
import math
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from ablate.track.connection import client
from ablate.track.mlflow_ledger import is_refused
from ablate.track.mlflow_run import RUN_STATUS
from ablate.track.mlflow_runs import MlflowRuns
from ablate.track.outbox import Point
from ablate.track.record import STATUSES

World = Any  # conftest.World
FINALS = ("zeroshot/top1", "zeroshot/top5", "cost/image_views", "train/final_loss")


def told(world: World) -> dict[str, Any]:
    """The store after an untroubled study."""
    ledger = world.ledger()
    world.tell_all(ledger)
    assert not ledger.close(60)
    return dict(world.snapshot())


def opened(world: World, **changes: Any) -> MlflowRuns:
    """The runs of the study, opened without a writer thread."""
    runs = MlflowRuns(world.uri, "text_depth")
    runs.open_study(world.entry(**changes))
    return runs


def now() -> int:
    return time.time_ns() // 1_000_000


def test_a_study_is_one_run_with_a_child_for_each_trial(world: World) -> None:
    told(world)
    (study,) = world.study_runs()
    assert study.info.status == "FINISHED"
    for i in range(2):
        run = world.run_of(i)
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.parentRunId"] == study.info.run_id
    assert world.run_of(1).info.run_name == "depth=6 supervision=declip s=0"


def test_params_are_the_factors_and_the_seed_only(world: World) -> None:
    told(world)
    assert world.run_of(0).data.params == {"supervision": "clip", "depth": "3", "seed": "0"}


def test_constants_are_the_recipes_own_fields_on_the_study_run(world: World) -> None:
    params = {
        "optimizer.lr": 1e-3,
        "corpus.uri": "https://me:hunter2@host/x.tar?X-Amz-Signature=abc",
        "corpus.access_key": "hunter2",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
        "env.HOME": "/home/me",
    }
    opened(world, params=params)
    (study,) = world.study_runs()
    assert study.data.params == {"optimizer.lr": "0.001", "corpus.uri": "https://host/x.tar"}


def test_the_step_is_samples_seen_and_finals_stand_at_the_last(world: World) -> None:
    told(world)
    assert [step for step, _ in world.history(0, "train/loss")] == [256 * i for i in range(1, 41)]
    assert world.history(0, "zeroshot/top1") == [(40 * 256, 0.1 + 0.2)]


def test_trials_carry_the_tags_that_say_what_they_were(world: World) -> None:
    told(world)
    tags = world.run_of(0).data.tags
    expected = {
        "ablate.study": "text_depth",
        "ablate.trial_key": "a" * 16,
        "ablate.cell": '{"supervision": "clip", "depth": 3}',
        "ablate.cohort": "c0",
        "ablate.data_fingerprint": "f" * 16,
        "ablate.order_hash": "0" * 15 + "1",
        "ablate.recipe_key": "a" * 16,
        "ablate.status": "completed",
        "ablate.scale": "demo",
        "mlflow.source.name": "studies/text_depth.py",
        "mlflow.source.git.commit": "1" * 40,
    }
    assert expected.items() <= tags.items()
    (study,) = world.study_runs()
    assert "samples seen" in study.data.tags["mlflow.note.content"]
    assert "Is text depth worth its cost?" in study.data.tags["mlflow.note.content"]


@pytest.mark.slow
def test_to_tell_everything_again_changes_nothing(world: World) -> None:
    first = told(world)
    assert told(world) == first
    assert len(world.history(0, "train/loss")) == 40


def test_a_record_that_is_there_is_not_sent_again(world: World) -> None:
    told(world)
    runs = opened(world)
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
    whole = told(world)["depth=3 supervision=clip s=0"]
    run = world.run_of(0)
    world.mlflow.delete_run(run.info.run_id)  # begin again, in a store with a past
    runs = opened(world)
    record, files = world.record(0), {"examples/cifar.csv": world.examples()}
    half = world.record(0, curve=record.curve[:20])
    if step >= 1:
        runs.open_trial(world.trial(0))
    if step >= 2:
        points = [(int(p["samples"]), p) for p in half.curve]
        runs.log_points(
            record.key,
            [Point(n, now(), {k: v for k, v in p.items() if k != "samples"}) for n, p in points],
        )
    if step >= 3:
        runs._trials[record.key].log_finals(
            {"zeroshot/top1": 0.1 + 0.2}, record.last_samples, now()
        )
    if step >= 4:
        runs._trials[record.key].upload_json("record.json", {"cut": "off"})
    if step >= 5:
        runs._trials[record.key].set_status("completed")
    again = opened(world)
    again.finish(record, files, now())
    again.finish(world.record(1), files, now())
    again.close()
    found = world.snapshot()["depth=3 supervision=clip s=0"]
    assert found == whole


@pytest.mark.slow
def test_a_trial_goes_on_in_its_run_after_the_driver_was_killed(world: World) -> None:
    whole = told(world)["depth=3 supervision=clip s=0"]
    world.mlflow.delete_run(world.run_of(0).info.run_id)
    killed = opened(world)
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
    whole = told(world)
    for run in [*world.study_runs(), world.run_of(0), world.run_of(1)]:
        world.mlflow.delete_run(run.info.run_id)
    runs = MlflowRuns(world.uri, "text_depth")
    runs.__dict__["_mlflow"] = LosesAnswers(world.mlflow, seed=1)
    insist(runs.open_study, world.entry())
    insist(runs.open_view)
    for i in range(2):
        insist(runs.open_trial, world.trial(i))
        record, files = world.record(i), {"examples/cifar.csv": world.examples()}
        for point in record.curve[:5]:
            values = {name: point[name] for name in ("train/loss", "train/lr")}
            insist(runs.log_points, record.key, [Point(point["samples"], now(), values)])
        insist(runs.finish, record, files, now())
    insist(runs.attach, {"report/trials.csv": world.examples()}, "")
    insist(runs.close)
    assert runs._mlflow.lost >= {"create_run", "log_batch", "set_terminated", "log_artifact"}
    assert len(world.snapshot()) == 3
    assert world.snapshot() == whole
    assert len(world.study_runs()) == 1


def test_what_mlflow_will_never_take_is_told_from_what_may_come_through_later(
    world: World,
) -> None:
    with pytest.raises(MlflowException) as absent:
        world.mlflow.get_run("0" * 32)
    assert is_refused(absent.value)
    runs = opened(world)
    runs.open_trial(world.trial(0))
    run = world.run_of(0)
    world.mlflow.delete_run(run.info.run_id)
    with pytest.raises(MlflowException) as deleted:
        runs.log_points("a" * 16, [Point(1, 1, {"a": 1.0})])
    assert is_refused(deleted.value)
    with pytest.raises(MlflowException) as dead:
        client("http://127.0.0.1:9").get_run("0" * 32)
    assert not is_refused(dead.value)


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
    assert run.data.tags["ablate.missing_metrics"] == '["zeroshot/top1"]'


@pytest.mark.slow
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
    assert run.data.tags["ablate.status"] == status
    assert run.data.tags["ablate.reason"] == "so it was"


def test_a_study_with_a_planned_trial_that_never_came_is_not_finished(world: World) -> None:
    ledger = world.ledger()
    ledger.open_study(world.entry())
    ledger.finish(world.record(0))
    assert not ledger.close(60)
    (study,) = world.study_runs()
    assert study.info.status == "KILLED"
    assert study.data.tags["ablate.reason"] == "1 of 2 trials are completed"


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
    assert world.run_of(0).data.tags["ablate.status"] == "interrupted"
    assert world.run_of(0).data.tags["ablate.reason"] == "Ctrl-C"
    assert world.run_of(1).info.status == "FINISHED"


def test_no_trial_stays_running_when_a_study_is_closed(world: World) -> None:
    ledger = world.ledger()
    ledger.open_study(world.entry())
    ledger.open_trial(world.trial(0))
    assert not ledger.close(60)
    assert world.run_of(0).info.status == "KILLED"


def test_trials_left_running_by_a_dead_driver_are_killed_at_the_next_start(world: World) -> None:
    dead = opened(world)
    for i in range(2):
        dead.open_trial(world.trial(i))
    runs = opened(world)
    runs.open_trial(world.trial(1))
    assert world.run_of(0).info.status == "KILLED"
    assert world.run_of(0).data.tags["ablate.status"] == "interrupted"
    assert world.run_of(1).info.status == "RUNNING"
    assert world.run_of(1).data.tags["ablate.status"] == "running"


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
        assert run.data.tags["ablate.reason"] == record.reason
    assert len(world.history(0, "train/loss")) == 40


@pytest.mark.slow
def test_more_seeds_continue_a_study_and_other_overrides_begin_another(world: World) -> None:
    opened(world)
    opened(world, design={"trials": [], "seeds": [0, 1, 2]})
    assert len(world.study_runs()) == 1
    opened(world, design={"overrides": {"optimizer.lr": "0.1"}})
    opened(world, design={"data": {"uri": "/corpora/other"}})
    opened(world, scale="small")
    assert len(world.study_runs()) == 4


@pytest.mark.slow
def test_a_renamed_level_does_not_stop_its_trial(world: World) -> None:
    told(world)
    runs = opened(world)
    runs.finish(world.record(0, cell={"supervision": "plain", "depth": 3}), {}, now())
    run = world.run_of(0)
    assert run.data.tags["ablate.cell"] == '{"supervision": "plain", "depth": 3}'
    assert run.data.params["supervision"] == "clip"  # MLflow never changes a param


@pytest.mark.slow
def test_a_record_keeps_the_commit_that_it_was_trained_with(world: World) -> None:
    told(world)
    later = world.entry().tags | {"mlflow.source.git.commit": "2" * 40}
    runs = opened(world, tags=later)
    runs.finish(world.record(0), {"examples/cifar.csv": world.examples()}, now())
    assert world.run_of(0).data.tags["mlflow.source.git.commit"] == "1" * 40


def test_a_missing_file_is_named_and_all_else_is_kept(world: World) -> None:
    ledger = world.ledger()
    ledger.open_study(world.entry())
    ledger.finish(world.record(0), {"examples/x.csv": world.folder / "absent.csv"})
    unsent = ledger.close(60)
    assert unsent.keys == ("a" * 16,)
    assert "absent.csv" in unsent.reason
    assert world.run_of(0).info.status == "FINISHED"
    assert set(FINALS) <= set(world.run_of(0).data.metrics)


@pytest.mark.slow
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


@pytest.mark.slow
def test_nothing_is_written_to_the_working_directory(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "cwd"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    told(world)
    assert list(elsewhere.iterdir()) == []
    assert list(tmp_path.glob("mlartifacts/text_depth/*/artifacts/design.json"))


@pytest.mark.slow
def test_nothing_is_printed_and_no_run_is_made_active(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    import mlflow

    told(world)
    assert capsys.readouterr().out == ""
    assert mlflow.active_run() is None


def test_a_ledger_that_was_never_opened_closes_in_peace(world: World) -> None:
    assert not world.ledger().close(10)


def test_a_trial_that_was_never_opened_takes_no_points_but_a_record(world: World) -> None:
    ledger = world.ledger()
    ledger.open_study(world.entry())
    ledger.log("a" * 16, 256, {"train/loss": 1.0})
    ledger.finish(world.record(0))
    assert not ledger.close(60)
    assert len(world.history(0, "train/loss")) == 40
