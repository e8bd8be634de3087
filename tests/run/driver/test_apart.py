"""What a failure does to others: the driver's part, without Ray. Oracle: who was made to fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tests.fixtures.studies import opened, small_plan
from tests.run.test_rungs import ladder

from seedbed.cluster.layout import Layout
from seedbed.errors import (
    BAD_DATA,
    INFRASTRUCTURE,
    OUT_OF_MEMORY,
    OWN_ERROR,
    CohortTooLargeError,
    Reason,
    failure_in,
)
from seedbed.plan.cohort import Cohort
from seedbed.plan.ladder import ladders_of, own_flops
from seedbed.plan.memory import held_by
from seedbed.plan.plan import Plan
from seedbed.run.driver.failures import failed_attempts
from seedbed.run.driver.outcome import Outcome, failed
from seedbed.run.driver.parts import fitted, in_parts
from seedbed.run.driver.progress import StudyProgress
from seedbed.run.driver.reasons import Reasons
from seedbed.run.driver.resume import Start
from seedbed.run.driver.watch import Watcher
from seedbed.run.worker.assignment import Assignment
from seedbed.run.worker.checkpoint import Run, place_of
from seedbed.run.worker.memory import check_device
from seedbed.run.worker.mesh import split_by_cost
from seedbed.storage.folder import Folder
from seedbed.track.ledger import InMemoryLedger

LAYOUT = Layout(
    num_workers=1, data_parallel=1, cpus_per_worker=1.0, use_gpu=False, concurrent=1, threads=1,
    data_tasks=1,
)  # fmt: skip
RUN = "group-1"  # what left the checkpoints


@pytest.fixture
def plan(shapes: Path) -> Plan:
    return small_plan(shapes, depths=(1, 2, 3, 4))


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path / "results"))


def job(plan: Plan, cohort: Cohort, store: Folder, tmp_path: Path) -> Assignment:
    return Assignment(
        study="small", scale="smoke", cohort=cohort, data=opened(plan, tmp_path),
        storage=store.uri, code_version={}, threads=1, data_parallel=1, num_tasks=1,
        checkpoint_seconds=None, costs=plan.costs(),
    )  # fmt: skip


def ended(plan: Plan, store: Folder, key: str, attempt: int) -> None:
    """A record as a worker leaves it."""
    trial = next(trial for trial in plan.trials if trial.key == key)
    record = failed(plan, trial, "c", "", attempt).to_json() | {"status": "completed"}
    store.write_json(record, "trials", key, "record.json")


def training(
    plan: Plan, store: Folder, bad: dict[int, Reason], seen: list[Assignment]
) -> Callable[[Assignment], Reason]:
    """Completes a cohort, unless it has one of these depths: then it ends whole for its reason."""

    def complete(part: Assignment) -> Reason:
        seen.append(part)
        for trial in part.cohort.trials:
            if reason := bad.get(int(trial.cell["depth"])):
                return reason
        for trial in part.cohort.trials:
            ended(plan, store, trial.key, part.attempt_of(trial.key))
        return Reason("")

    return complete


def test_an_error_of_one_trial_leaves_the_others_going_on_alone_from_their_checkpoint(
    plan: Plan, store: Folder, tmp_path: Path
) -> None:
    cohort = plan.cohorts[0]
    one, bad, two, three = (trial.key for trial in cohort.trials)
    # The last checkpoint has three of them, an older one all.
    Run(RUN, (one, bad, two, three), "start").write(store)
    for step, keys in ((5, (one, bad, two, three)), (9, (one, two, three))):
        place = place_of(
            cohort.id, fingerprint="f", step_number=step, sizes={}, keys=keys, digests={}
        )
        store.write_json(place, "cohorts", RUN, f"checkpoint_{step}", "place.json")
    seen: list[Assignment] = []
    own = Reason("a tower of my own", OWN_ERROR, attempts=2)
    complete = training(plan, store, {2: own}, seen)
    told = list(in_parts(
        job(plan, cohort, store, tmp_path), complete, lambda: RUN, Reasons(1), LAYOUT, store
    ))  # fmt: skip
    assert [len(part.cohort.trials) for part in seen] == [4, 1, 1, 1, 1]
    assert [part.kept and part.kept.step_number for part in seen[1:]] == [9, 5, 9, 9]
    (reasons,) = told
    assert reasons == {bad: "a tower of my own"}
    assert (reasons[bad].failure, reasons[bad].attempts) == (OWN_ERROR, 4)  # twice, and twice alone
    for key in (one, two, three):
        values = store.read_json("trials", key, "record.json")
        assert (values["status"], values["attempt"]) == ("completed", 3)


@pytest.mark.parametrize("failure", [BAD_DATA, INFRASTRUCTURE])
def test_what_all_of_a_cohort_share_is_not_tried_apart(
    plan: Plan, store: Folder, tmp_path: Path, failure: str
) -> None:
    seen: list[Assignment] = []
    complete = training(plan, store, {2: Reason("all the same", failure)}, seen)
    (reasons,) = in_parts(
        job(plan, plan.cohorts[0], store, tmp_path), complete, lambda: RUN, Reasons(1), LAYOUT,
        store,
    )  # fmt: skip
    assert len(seen) == 1 and reasons.keys() == {trial.key for trial in plan.trials}


def test_a_cohort_that_is_too_large_is_cut_and_one_that_is_out_of_memory_alone_fails_alone(
    plan: Plan, store: Folder, tmp_path: Path
) -> None:
    seen: list[Assignment] = []
    complete = training(plan, store, {3: Reason("CUDA out of memory", OUT_OF_MEMORY)}, seen)

    def fitting(part: Assignment) -> Reason:
        if len(part.cohort.trials) > 2:
            raise CohortTooLargeError("4 variants do not fit", fitting=2)
        return complete(part)

    met = Reasons(1)
    told = list(in_parts(
        job(plan, plan.cohorts[0], store, tmp_path), fitting, lambda: RUN, met, LAYOUT, store
    ))  # fmt: skip
    (reasons,) = told
    assert {str(key): reason.failure for key, reason in reasons.items()} == {
        trial.key: OUT_OF_MEMORY for trial in plan.trials if trial.cell["depth"] == 3
    }
    cells = tuple(sorted(repr(trial.cell) for trial in plan.trials))
    assert met.too_large(cells) is not None
    assert len(store.names("trials")) == 3


def watching(plan: Plan, store: Folder) -> tuple[Watcher, InMemoryLedger]:
    ledger, chosen = InMemoryLedger(), [Start(cohort) for cohort in plan.cohorts]
    progress = StudyProgress(len(plan.trials), 0)
    return Watcher(plan, store, ledger, progress, Outcome(), chosen, {}), ledger


def test_a_failure_is_told_with_its_class_and_the_next_start_counts_on(
    plan: Plan, store: Folder
) -> None:
    (cohort,) = plan.cohorts
    (good, bad, *_), trial = cohort.trials, SimpleNamespace(config={"cohort": cohort.id})
    watcher, ledger = watching(plan, store)
    watcher.failed_attempts = {bad.key: 1}  # of an earlier start
    ended(plan, store, good.key, 1)
    told = {t.key: Reason("no room", OUT_OF_MEMORY, attempts=3) for t in cohort.trials[1:]}
    watcher.told_of = lambda cohort: (told, ["no room"])
    watcher.on_trial_complete(0, [], trial)
    assert set(watcher.outcome.records) == {good.key}
    assert {failure_in(reason) for reason in watcher.outcome.reasons.values()} == {OUT_OF_MEMORY}
    assert failed_attempts(store) == {t.key: 3 for t in cohort.trials[1:]}
    record = ledger.records[bad.key]
    assert (record.status, record.failure, record.attempt) == ("failed", OUT_OF_MEMORY, 3)


def test_a_holder_that_is_lost_is_the_infrastructure_s(plan: Plan, store: Folder) -> None:
    (cohort,) = plan.cohorts
    watcher, ledger = watching(plan, store)
    watcher.on_trial_error(0, [], SimpleNamespace(config={"cohort": cohort.id}))
    assert {record.failure for record in ledger.records.values()} == {INFRASTRUCTURE}
    assert {record.attempt for record in ledger.records.values()} == {1}


def test_as_many_failures_as_the_limit_stop_the_study_once(shapes: Path, store: Folder) -> None:
    plan = small_plan(shapes, depths=(1, 2, 3, 4), cohort_size=1)
    watcher, _ = watching(plan, store)
    watcher.most_failures, asked = 2, list[str]()
    watcher.end = asked.append
    for number, cohort in enumerate(plan.cohorts):
        (member,) = cohort.trials
        if number:
            watcher.told_of = lambda _, key=member.key: ({key: Reason("x", OWN_ERROR)}, [])
        else:
            ended(plan, store, member.key, 1)
        watcher.on_trial_complete(0, [], SimpleNamespace(config={"cohort": cohort.id}))
        assert len(asked) == (number >= 2)
    assert "2 of 4 trials have failed" in watcher.outcome.limit == asked[0]


def test_one_that_failed_and_went_on_from_before_that_is_completed(
    plan: Plan, store: Folder
) -> None:
    """It ran out of memory that others took, then a node was lost: its cohort went on from a
    checkpoint of the time before, and its record is there."""
    watcher, ledger = watching(plan, store)
    (cohort,) = plan.cohorts
    at = SimpleNamespace(config={"cohort": cohort.id})
    watcher.on_trial_start(0, [], at)
    one = cohort.trials[0]
    said = failed(plan, one, "c", "OutOfMemoryError at step 10").to_json()
    store.write_json(said, "trials", one.key, "failure.json")
    watcher._finish(cohort, one.key)
    assert one.key in watcher.outcome.reasons
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Folder, "read_json", None)  # calling it fails: reports come each second
        watcher._finish(cohort, one.key)
    for trial in cohort.trials:
        ended(plan, store, trial.key, 2)
    watcher.on_trial_complete(0, [], at)
    assert watcher.outcome.reasons == {}
    assert watcher.outcome.records.keys() == {trial.key for trial in cohort.trials}
    assert set(ledger.statuses.values()) == {"completed"}


def test_parts_of_what_became_too_large_go_on_from_where_it_was(
    plan: Plan, store: Folder, tmp_path: Path
) -> None:
    (cohort,) = plan.cohorts
    keys = tuple(trial.key for trial in cohort.trials)
    Run(RUN, keys, "start").write(store)
    for step in (5, 9):
        at = place_of(cohort.id, fingerprint="f", step_number=step, sizes={}, keys=keys, digests={})
        store.write_json(at, "cohorts", RUN, f"checkpoint_{step}", "place.json")
    seen: list[Assignment] = []

    def complete(part: Assignment) -> Reason:
        seen.append(part)
        if len(part.cohort.trials) > 2:
            raise CohortTooLargeError("no room for a rung", fitting=2)
        return Reason("")

    given = replace(job(plan, cohort, store, tmp_path), part_of=cohort.id)
    assert list(in_parts(given, complete, lambda: RUN, Reasons(1), LAYOUT, store)) == []
    assert [part.kept and part.kept.step_number for part in seen] == [None, 9, 9]
    # The driver knows the whole: what parts say of a stop is said of that.
    assert {part.whole for part in seen} == {cohort.id} != {part.cohort.id for part in seen}


def test_rungs_of_one_ladder_that_fit_one_by_one_are_all_trained(
    shapes: Path, store: Folder, tmp_path: Path
) -> None:
    """Of two workers, each of which holds one variant: a ladder is on one of them."""
    plan = ladder(shapes, 8)
    (cohort,) = plan.cohorts
    limit = held_by(cohort.trials[:1]).total(64) * 1.2
    flops = {key: cost.train_flops for key, cost in plan.costs().items()}
    two = replace(LAYOUT, num_workers=2, variants=1)

    def complete(part: Assignment) -> Reason:  # as the workers do
        ladders = ladders_of(part.cohort.trials)
        for share in split_by_cost([own_flops(one, flops) for one in ladders], 2):
            mine = [trial for number in share for trial in ladders[number]]
            check_device(mine, torch.device("cpu"), 1, limit)
        for trial in part.cohort.trials:
            ended(plan, store, trial.key, 1)
        return Reason("")

    found, said = fitted([Start(cohort)], two)
    assert len(found) == len(cohort.trials) and "1 cohorts are trained as" in said
    for start in (*found, Start(cohort)):  # as planned, and where that is not known before
        given = job(plan, start.cohort, store, tmp_path)
        assert list(in_parts(given, complete, lambda: RUN, Reasons(1), two, store)) == []
        for trial in start.cohort.trials:
            store.remove("trials", trial.key)
