"""Workers, ranks and nodes that fail, on real Ray. Oracles: real deaths, and an undisturbed run."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import ray.train
from tests.fixtures.studies import run_study, small_plan

from seedbed.cluster.asked import Asked
from seedbed.errors import BAD_DATA, INFRASTRUCTURE, OWN_ERROR, DataError, failure_in, ours
from seedbed.plan.plan import Plan
from seedbed.run.driver import launch
from seedbed.run.driver.attempts import Reached, attempts
from seedbed.run.driver.outcome import Outcome
from seedbed.run.worker.feed import AHEAD
from seedbed.run.worker.loop import train
from seedbed.track.ledger import InMemoryLedger

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(900)]

Batches = Iterator[Any]
NUM_STEPS = 20


def loop_with(change: Callable[[Batches, int], Batches]) -> Callable[[dict[str, Any]], None]:
    """The loop of a worker, whose batches pass through `change` with the worker's rank."""

    def loop(config: dict[str, Any]) -> None:
        from seedbed.run.worker import loop, rank

        number, stream = ray.train.get_context().get_world_rank(), rank.stream
        rank.stream = lambda *given, **named: change(stream(*given, **named), number)  # type: ignore
        loop.train(config)

    return loop


def run(
    what: Plan,
    folder: Path,
    loop: Callable[[dict[str, Any]], None],
    monkeypatch: pytest.MonkeyPatch,
    *,
    num_workers: int = 1,
    ledger: InMemoryLedger | None = None,
    most_failures: int = 0,
    checkpoint_seconds: float = 0,
) -> Outcome:
    monkeypatch.setattr(launch, "train", loop)
    asked, limit = Asked(num_workers, num_workers), most_failures
    return run_study(
        what,
        folder,
        ledger=ledger,
        asked=asked,
        checkpoint_seconds=checkpoint_seconds,
        most_failures=limit,
    )


def dying(deaths: Path, most: int, after: int) -> Callable[[Batches, int], Batches]:
    """Kills its process at batch `after` of each life, `most` times; a letter a death.

    Batches are read ahead: AHEAD of those before it may not have been trained on.
    """

    def change(batches: Batches, rank: int) -> Batches:
        for number, batch in enumerate(batches):
            if number == after and len(deaths.read_text()) < most:
                with deaths.open("a") as out:
                    out.write("x")
                os.kill(os.getpid(), signal.SIGKILL)
            yield batch

    deaths.write_text("")
    return change


def alive_actors() -> list[dict[str, Any]]:
    return [a for a in ray._private.state.actors().values() if a["State"] == "ALIVE"]


def test_one_rank_whose_data_fails_ends_the_cohort_in_its_words_and_hangs_nobody(
    cluster: None, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(batches: Batches, rank: int) -> Batches:
        for number, batch in enumerate(batches):
            if rank == 1 and number == 3:
                raised.write_text(str(time.time()))
                raise DataError("shard x has changed", why="of rank 1 alone", mend="restore it")
            yield batch

    what, ledger, raised = (
        small_plan(shapes, num_steps=NUM_STEPS),
        InMemoryLedger(),
        tmp_path / "raised",
    )
    outcome = run(what, tmp_path, loop_with(change), monkeypatch, num_workers=2, ledger=ledger)
    assert time.time() - float(raised.read_text()) < 300  # the others' collectives wait 30 minutes
    assert outcome.records == {}
    reasons = {outcome.reasons[trial.key] for trial in what.trials}
    assert reasons == {"shard x has changed\n  why:  of rank 1 alone\n  mend: restore it"}
    assert set(ledger.statuses.values()) == {"failed"}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> int:
    """One failure in a row is forgiven, not three: each that follows costs a start of workers."""
    monkeypatch.setattr("seedbed.run.driver.tune.MAX_FAILURES", 1)
    return 1


@pytest.mark.long
def test_a_worker_that_dies_often_but_gets_further_each_time_finishes(
    cluster: None,
    shapes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    impatient: int,
    capfd: pytest.CaptureFixture[str],
) -> None:
    what, deaths = small_plan(shapes, num_steps=NUM_STEPS), tmp_path / "deaths"
    most = impatient + 2
    outcome = run(what, tmp_path, loop_with(dying(deaths, most, AHEAD + 4)), monkeypatch)
    assert len(deaths.read_text()) == most
    said = capfd.readouterr().err
    assert said.count("retried depth=1 s=0, depth=2 s=0 (") == most
    assert "worker process has died" in said
    assert outcome.missing(what.trials) == []
    for record in outcome.records.values():
        assert [p["samples"] for p in record.curve] == list(range(64, 64 * NUM_STEPS + 1, 64))


@pytest.mark.long
def test_a_worker_that_dies_and_gets_no_further_is_given_up_with_the_reason(
    cluster: None, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, impatient: int
) -> None:
    what, deaths = small_plan(shapes, num_steps=NUM_STEPS), tmp_path / "deaths"
    outcome = run(what, tmp_path, loop_with(dying(deaths, 99, 0)), monkeypatch)
    assert len(deaths.read_text()) == impatient + 1
    assert outcome.records == {}
    for reason in outcome.reasons.values():
        assert f"({impatient + 1} times without getting any further)" in reason
        assert "died" in reason.lower()


def test_workers_train_one_cohort_after_another_and_a_failed_one_ends_none_of_the_others(
    cluster: None, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, spoiled = tmp_path / "said", tmp_path / "spoiled"

    def change(batches: Batches, rank: int) -> Batches:
        bad = False
        if rank == 0:
            ended = len(list((tmp_path / "results/trials").glob("*/record.json")))
            bad = ended == 1 and not spoiled.exists()
            if bad:
                spoiled.touch()
            with said.open("a") as out:
                out.write(f"{ended}{'!' * bad} {os.getpid()}\n")
        for number, batch in enumerate(batches):
            if bad and number == 5:
                raise DataError("shard x has changed", mend="restore it")
            yield batch

    what = small_plan(shapes, depths=(1, 2, 3, 4), num_steps=10, cohort_size=1)
    assert len(what.cohorts) == 4
    # Two to a variant: there is room for one cohort at a time.
    outcome = run(what, tmp_path, loop_with(change), monkeypatch, num_workers=2)
    # A cohort's last: on a busy machine Ray may have to start workers twice.
    workers = dict(line.split() for line in said.read_text().splitlines())
    assert list(workers) == ["0", "1!", "1", "2"]
    # The second failed with the first's workers; those that came after took both that were left.
    assert workers["0"] == workers["1!"] != workers["1"] == workers["2"], workers
    (failed,) = outcome.missing(what.trials)
    assert outcome.reasons == {failed.key: "shard x has changed\n  mend: restore it"}
    # Its checkpoint was not pushed out by those of the cohorts that came after it.
    left = {path.parent.name for path in (tmp_path / "results/cohorts").glob("*/checkpoint_*")}
    assert len(left) == 1
    again = run(
        what, tmp_path, loop_with(change), monkeypatch, num_workers=2, checkpoint_seconds=30
    )
    assert again.missing(what.trials) == []
    assert not list((tmp_path / "results/cohorts").iterdir())


@pytest.mark.long
def test_one_cell_that_cannot_be_built_fails_alone_and_is_counted(
    cluster: None, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, impatient: int
) -> None:
    def loop(config: dict[str, Any]) -> None:
        from seedbed.run.worker import loop, rank

        whole = rank.CohortTraining

        def built(cohort: Any, device: Any, mine: Any, limit: float) -> Any:
            if any(trial.cell["depth"] == 2 for trial in mine):
                raise ValueError("a tower of my own")
            return whole(cohort, device, mine, limit)

        rank.CohortTraining = built  # type: ignore[assignment, misc]
        loop.train(config)

    what = small_plan(shapes, num_steps=4)
    outcome = run(what, tmp_path, loop, monkeypatch)
    (sound,), (bad,) = outcome.records.values(), outcome.failed
    assert (sound.cell["depth"], sound.status, sound.failure) == (1, "completed", "")
    assert "a tower of my own" in outcome.reasons[bad]
    assert failure_in(outcome.reasons[bad]) == OWN_ERROR
    together = impatient + 1
    assert sound.attempt == together + 1
    assert outcome.attempts[bad] == 2 * together
    # Once it is mended, the next start counts on with the same seed.
    again = run(what, tmp_path, train, monkeypatch)
    assert again.missing(what.trials) == []
    assert again.records[bad].attempt == 2 * together + 1


@pytest.mark.long
def test_a_limit_on_failures_stops_the_study_and_keeps_what_was_done(
    cluster: None, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(batches: Batches, rank: int) -> Batches:
        ended = len(list((tmp_path / "results/trials").glob("*/record.json")))
        for batch in batches:
            if ended:
                raise DataError("shard x has changed", mend="restore it")
            yield batch

    what = small_plan(shapes, depths=(1, 2, 3, 4), num_steps=4, cohort_size=1)
    # Two to a variant: there is room for one cohort at a time.
    outcome = run(what, tmp_path, loop_with(change), monkeypatch, num_workers=2, most_failures=1)
    assert "1 of 4 trials have failed" in outcome.limit
    assert outcome.interrupted and len(outcome.records) == 1 and len(outcome.failed) == 1
    assert failure_in(outcome.reasons[outcome.failed[0]]) == BAD_DATA


@pytest.mark.long
def test_a_lost_holder_s_cohort_goes_on_with_other_workers_from_its_last_checkpoint(
    cluster: None, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []

    class Losing(InMemoryLedger):
        """Kills the holder, and so its workers, once a checkpoint is kept."""

        def log(self, key: str, samples: int, metrics: Any) -> None:
            super().log(key, samples, metrics)
            kept = sorted((tmp_path / "results/cohorts").glob("*/checkpoint_*/place.json"))
            if not steps and kept:
                steps.append(json.loads(kept[-1].read_text())["step_number"])
                (holder,) = (
                    a for a in alive_actors() if a["ActorClassName"].endswith("ImplicitFunc")
                )
                os.kill(holder["Pid"], signal.SIGKILL)

    begun = tmp_path / "begun"

    def change(batches: Batches, rank: int) -> Batches:
        for batch in batches:
            with begun.open("a") as out:
                out.write("x")
            time.sleep(0.2)  # so that the holder is lost before the end
            yield batch

    what = small_plan(shapes, num_steps=NUM_STEPS)
    outcome = run(what, tmp_path, loop_with(change), monkeypatch, ledger=Losing())
    assert steps and outcome.missing(what.trials) == []
    for record in outcome.records.values():
        assert [p["samples"] for p in record.curve] == list(range(64, 64 * NUM_STEPS + 1, 64))
    # Each of 20 steps once, but for those after the checkpoint: not from the beginning again.
    assert 20 < len(begun.read_text()) <= 20 + 20 - steps[0]


def failing(reason: Exception) -> Callable[[int], None]:
    def fit(retries: int) -> None:
        raise ray.train.WorkerGroupError("the workers failed", {0: reason, 1: reason})

    return fit


def test_failures_add_up_only_while_nothing_new_is_reached() -> None:
    count = iter(range(99))
    places = [0, 1, 1, 1, 2, 2, 2, 2, 2, 2]
    looks = iter([Reached(str(place), ()) for place in [0, *places]])

    def fit(retries: int) -> None:
        assert retries == next(count)
        failing(ray.exceptions.WorkerCrashedError())(retries)

    reason = attempts(fit, lambda: next(looks))
    # Failures at 0 (no further), 1 (further), 1, 1, 2 (further), 2, 2, 2: the fourth at 2 ends it.
    assert next(count) == 8
    assert reason.endswith("(4 times without getting any further)")
    assert reason.failure == INFRASTRUCTURE


def test_the_same_error_of_the_workers_own_code_is_not_tried_a_third_time() -> None:
    looks = iter([Reached("", ())] * 9)
    reason = attempts(failing(RuntimeError("no such layer")), lambda: next(looks))
    assert reason == "no such layer (2 times without getting any further)"
    assert (reason.failure, reason.attempts) == (OWN_ERROR, 2)


def test_other_words_of_the_workers_own_code_are_tried_as_often_as_a_loss() -> None:
    looks, words = iter([Reached("", ())] * 9), iter("abcdef")
    reason = attempts(lambda n: failing(RuntimeError(next(words)))(n), lambda: next(looks))
    assert reason == "d (4 times without getting any further)"


def test_an_error_of_ours_on_any_rank_ends_it_at_the_first_attempt() -> None:
    looks = iter([Reached("", ())])
    reason = attempts(failing(DataError("gone", mend="restore")), lambda: next(looks))
    assert reason == "gone\n  mend: restore"


def test_ours_is_found_inside_whatever_ray_puts_around_it(cluster: None) -> None:
    @ray.remote
    def inner() -> None:
        raise DataError("a", why="b", mend="c")

    @ray.remote
    def outer() -> None:
        ray.get(inner.remote())

    for task in (inner, outer):
        with pytest.raises(Exception) as caught:
            ray.get(task.remote())
        found = ours(caught.value)
        assert type(found) is DataError
        assert (found.what, found.why, found.mend) == ("a", "b", "c")
    assert ours(ValueError("x")) is None and ours(None) is None
