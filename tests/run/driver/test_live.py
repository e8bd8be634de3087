"""What a driver tells of running cohorts. Oracle: reports in an order that is known, by hand."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from seedbed.plan.plan import plan
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import SCALES
from seedbed.run.driver.live import Live
from seedbed.run.driver.outcome import Outcome, failed
from seedbed.run.driver.resume import Start
from seedbed.run.worker.message import Message
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.variants import CLIP

PLAN = plan(
    Study(
        name="small",
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("depth", at="text.layers", levels=(1, 2)),),
    ),
    SCALES["smoke"],
    seeds=(0, 1),
)
COHORTS = PLAN.cohorts
TOTAL = COHORTS[0].samples
STEP = COHORTS[0].recipe.budget.batch


def scheduled(number: int) -> SimpleNamespace:
    """Of a trial of Tune's, what a callback reads."""
    return SimpleNamespace(config={"cohort": COHORTS[number].id})


def report(live: Live, samples: int, *, finished: tuple[str, ...] = (), cohort: int = 0) -> None:
    time.sleep(0.01)
    message = Message(samples, 0.0, finished=finished)
    live.on_trial_result(0, [], scheduled(cohort), message.to_report())


@pytest.fixture
def live() -> Live:
    told = Live(PLAN)
    told.follow(Outcome(), [Start(cohort) for cohort in COHORTS])
    return told


def test_workers_that_take_over_are_a_recovery_and_the_pause_is_no_training(live: Live) -> None:
    live.on_trial_start(0, [], scheduled(0))
    report(live, 0)
    report(live, STEP)
    report(live, 2 * STEP)
    before = live.state(1.0).job_seconds
    time.sleep(0.2)  # workers are lost, and others started
    report(live, STEP)
    lost = live.state(1.0)
    assert lost.recoveries == 1 and lost.cohorts[0].recoveries == 1
    assert lost.job_seconds == before
    assert lost.total_seconds > lost.job_seconds + 0.2
    assert lost.samples_left == 2 * TOTAL - STEP
    report(live, 2 * STEP)
    after = live.state(1.0)
    assert after.recoveries == 1 and after.job_seconds > before
    report(live, 2 * STEP)  # lost right after a checkpoint: nothing is trained twice
    assert live.state(1.0).recoveries == 2


def test_the_last_report_of_a_cohort_is_no_recovery(live: Live) -> None:
    keys = tuple(trial.key for trial in COHORTS[0].trials)
    live.on_trial_start(0, [], scheduled(0))
    report(live, 0)
    report(live, TOTAL)
    report(live, TOTAL, finished=keys)
    assert live.state(1.0).recoveries == 0
    live.on_trial_complete(0, [], scheduled(0))
    assert live.state(1.0).cohorts == ()
    assert live.state(1.0).samples_left == TOTAL


def test_the_last_report_of_one_that_diverged_early_is_no_recovery(live: Live) -> None:
    live.on_trial_start(0, [], scheduled(0))
    report(live, 0)
    report(live, STEP)
    report(live, STEP, finished=tuple(trial.key for trial in COHORTS[0].trials))
    assert live.state(1.0).recoveries == 0


def test_time_in_which_two_cohorts_train_counts_once(live: Live) -> None:
    for cohort in (0, 1):
        live.on_trial_start(0, [], scheduled(cohort))
        report(live, 0, cohort=cohort)
    for step in range(1, 6):
        for cohort in (0, 1):
            report(live, step * STEP, cohort=cohort)
    told = live.state(1.0)
    each = [one.job_seconds for one in told.cohorts]
    assert max(each) <= told.job_seconds <= told.total_seconds < sum(each)


def test_each_trial_is_what_the_outcome_and_the_cohorts_that_run_make_it() -> None:
    outcome, keys = Outcome(), [trial.key for trial in PLAN.trials]
    live = Live(PLAN)
    live.follow(outcome, [Start(cohort) for cohort in COHORTS])
    assert live.state(1.0).outcomes == "...."
    live.on_trial_start(0, [], scheduled(0))
    runs = {trial.key for trial in COHORTS[0].trials}
    assert live.state(1.0).outcomes == "".join("r" if key in runs else "." for key in keys)
    outcome.reasons[keys[0]] = "no memory"
    outcome.records[keys[1]] = failed(PLAN, PLAN.trials[1], "", "not a number")
    outcome.reasons[keys[2]] = "stopped after step 3"
    outcome.stopped.add(keys[2])
    told = live.state(1.0)
    assert told.outcomes[:3] == "ffi"
    assert told.reasons == {"0": "no memory", "1": "not a number", "2": "stopped after step 3"}


def test_starts_and_times_of_one_plan_add_up_and_those_of_another_do_not(live: Live) -> None:
    live.on_trial_start(0, [], scheduled(0))
    report(live, 0)
    report(live, STEP)
    report(live, 0)
    live.end("stopped")
    first = live.state(1.0)
    again = Live(PLAN, first)
    assert again.state(1.0).total_seconds == first.total_seconds
    again.follow(Outcome(), [Start(COHORTS[0])])
    second = again.state(1.0)
    assert (second.starts, second.recoveries) == (2, 1)
    assert second.total_seconds >= first.total_seconds
    other = plan(PLAN.study, SCALES["smoke"], seeds=(0,))
    assert Live(other, first).state(1.0).recoveries == 0


def test_another_part_of_the_study_is_told_with_its_own_trials(live: Live) -> None:
    live.on_trial_start(0, [], scheduled(0))
    report(live, STEP)
    other = plan(PLAN.study, SCALES["smoke"], seeds=(7,))
    live.turns_to(other, "searching, round 2")
    told = live.state(1.0)
    assert (told.outcomes, told.words, told.cohorts) == ("..", "searching, round 2", ())
    assert told.planned == live.planned.digest == Live(other).planned.digest
    live.follow(Outcome(), [Start(cohort) for cohort in other.cohorts])
    assert live.state(1.0).samples_left == sum(cohort.samples for cohort in other.cohorts)
