"""Cohorts as Ray Tune trials, whose holders keep a Ray Train worker group from one to the next."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import ray
import ray.train
import ray.tune
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group

from seedbed.cluster.ahead import start_helpers
from seedbed.cluster.connect import RAY_SETTINGS
from seedbed.cluster.layout import KEPT_CHECKPOINTS, Layout
from seedbed.collecting import as_usual, seldom
from seedbed.errors import CohortTooLargeError, Reason
from seedbed.run.driver.attempts import MAX_FAILURES, attempts, one_attempt, reached
from seedbed.run.driver.group import Group, Reporting, group_here, on_this_node
from seedbed.run.driver.parts import in_parts
from seedbed.run.driver.reasons import Reasons
from seedbed.run.driver.turns import Turns
from seedbed.run.driver.watch import Watcher, stoppable
from seedbed.run.worker.assignment import COLLECTIVE_SECONDS, Assignment
from seedbed.run.worker.rehearse import Rehearsal
from seedbed.storage.folder import Folder
from seedbed.storage.retry import retry_seconds, retrying_for
from seedbed.storage.scratch import remove_stale, scratch_folder

# A node of GCP lives on for 30 s after its notice; Ray Train looks for one every 5 s by itself.
NOTICE_SETTINGS = {"RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S": "1"}
HOLDER_BYTES = 100e6  # of the process that only waits for a cohort's workers
MAX_LOST = 3  # of those processes, each in a cohort's life; the next one goes on from there


def tune(
    loop: Callable[[dict[str, Any]], None],
    jobs: Mapping[str, Assignment | Rehearsal],
    layout: Layout,
    store: Folder,
    watcher: Watcher,
    checkpoint_seconds: float | None,
    since: str,
    also: Sequence[ray.tune.Callback] = (),
) -> None:
    """Run every job of `jobs`, by its cohort's id, as far as it can be, in the start `since`.

    What cohorts report goes to `watcher`, and to those of `also`.
    """
    start_helpers()
    seconds = retry_seconds()
    # Not by Tune's reports: one from here beside those of the workers can be lost, or block. Nor
    # raised: Tune would try again what `attempts` has given up.
    kept = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
    beside = on_this_node(soft=True)
    reasons = ray.remote(**kept, scheduling_strategy=beside)(Reasons).remote(len(jobs))
    turns: Any = None  # an actor, which cohorts one after another do not need
    if layout.concurrent > 1:
        turns = ray.remote(**kept, scheduling_strategy=beside)(Turns).remote()
        jobs = {id: _in_turn(job, turns) for id, job in jobs.items()}
    references = {id: ray.put(job) for id, job in jobs.items()}
    watcher.told_of = partial(_told, reasons)

    def run_cohort(config: dict[str, Any]) -> None:
        os.environ.update(RAY_SETTINGS | NOTICE_SETTINGS)
        job = ray.get(references[config["cohort"]])
        ray.get(reasons.begin.remote(job.cohort.id))

        fit = partial(_fit, loop, layout, store, int(seconds + COLLECTIVE_SECONDS))
        group = group_here(lambda: Group(fit, store, since))

        def complete(part: Assignment | Rehearsal) -> Reason:
            reference = references[config["cohort"]] if part is job else ray.put(part)
            tell = partial(reasons.tell_retry.remote, job.cohort.id)
            return _completed(group, part, reference, store, lambda why: ray.get(tell(why)))

        with retrying_for(seconds):
            for failed in in_parts(job, complete, group.give_up, _Met(reasons), layout, store):
                ray.get(reasons.tell.remote(job.cohort.id, failed))
        if not ray.get(reasons.left.remote()):
            group.end()

    remove_stale()
    as_usual()  # it may run for days
    before = _placement_groups()
    # Tune's own bookkeeping is of no use to a later run: ours is in the results folder.
    with (
        scratch_folder() as scratch,
        stoppable(watcher, checkpoint_seconds),
    ):
        _tuner(run_cohort, list(jobs), layout.concurrent, scratch, [watcher, *also]).fit()
    ray.kill(reasons)
    if turns is not None:
        ray.kill(turns)
    _give_back(_placement_groups() - before)
    remove_stale()  # of workers that a stop has cut off


def _tuner(
    run_cohort: Callable[[dict[str, Any]], None],
    cohorts: list[str],
    at_once: int,
    scratch: str,
    callbacks: list[ray.tune.Callback],
) -> ray.tune.Tuner:
    """A trial of Tune for each cohort."""
    return ray.tune.Tuner(
        ray.tune.with_resources(run_cohort, beside_the_driver()),
        param_space={"cohort": ray.tune.grid_search(cohorts)},
        tune_config=ray.tune.TuneConfig(
            # A holder, and the workers that it has started, take one cohort after another.
            max_concurrent_trials=at_once,
            reuse_actors=True,
        ),
        run_config=ray.tune.RunConfig(
            name="schedule",
            storage_path=scratch,
            callbacks=callbacks,
            verbose=0,
            failure_config=ray.tune.FailureConfig(max_failures=MAX_LOST),
        ),
    )


def _completed(
    group: Group,
    part: Assignment | Rehearsal,
    reference: Any,
    store: Folder,
    say: Callable[[str], object],
) -> Reason:
    """Have `part`, of which this is a `reference`, trained by `group` as often as that helps."""
    keys = [trial.key for trial in part.cohort.trials]

    def train(retries: int) -> None:
        _give_up_turns(part)  # workers before may have ended in the middle of theirs
        group.train([reference, retries], keys)

    try:
        return attempts(train, lambda: reached(store, group.run, part.cohort), MAX_FAILURES, say)
    finally:
        _give_up_turns(part)


def _give_up_turns(part: Assignment | Rehearsal) -> None:
    if isinstance(part, Assignment) and part.turns is not None:
        ray.get(part.turns.ended.remote(part.cohort.id))


def _in_turn(job: Assignment | Rehearsal, turns: Any) -> Assignment | Rehearsal:
    return replace(job, turns=turns) if isinstance(job, Assignment) else job


def _fit(
    loop: Callable[[dict[str, Any]], None],
    layout: Layout,
    store: Folder,
    collective_seconds: int,
    mailbox: Any,
    reporting: Reporting,
    run: str,
) -> None:
    """Start workers as the Ray Train run `run`, and wait until they have ended."""
    seldom()
    # Only holders start workers: the driver does not wait for torch, which this imports.
    from ray.train.torch import TorchConfig, TorchTrainer

    as_usual()
    TorchTrainer(
        loop,
        train_loop_config={"mailbox": mailbox},
        torch_config=TorchConfig(backend=layout.backend, timeout_s=collective_seconds),
        scaling_config=ray.train.ScalingConfig(
            num_workers=layout.num_workers,
            use_gpu=layout.use_gpu,
            resources_per_worker=layout.resources_per_worker,
            accelerator_type=layout.accelerator or None,
            label_selector=dict(layout.labels) or None,
            placement_strategy="STRICT_PACK" if layout.one_node else "PACK",
        ),
        run_config=ray.train.RunConfig(
            name=run,
            storage_path=store.sub("cohorts").uri,
            failure_config=one_attempt(),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=KEPT_CHECKPOINTS),
            callbacks=[reporting],
        ),
    ).fit()


def _give_back(places: set[str]) -> None:
    """A stop ends holders, and Ray Train then gives the places of their workers back; but not where
    another Ray runs on the machine: its helper cannot tell which of the two it belongs to."""
    for place in places:
        remove_placement_group(PlacementGroup(ray.PlacementGroupID.from_hex(place)))


def _placement_groups() -> set[str]:
    """The ids of this job's placement groups that hold places, or wait for them."""
    job = ray.get_runtime_context().get_job_id()
    table = ray.util.placement_group_table()
    return {id for id, group in table.items() if id.endswith(job) and group["state"] != "REMOVED"}


class _Met:
    """What the actor `reasons` knows of cohorts that were too large."""

    def __init__(self, reasons: Any) -> None:
        self._reasons = reasons

    def too_large(self, cells: tuple[str, ...]) -> CohortTooLargeError | None:
        known: CohortTooLargeError | None = ray.get(self._reasons.too_large.remote(cells))
        return known

    def tell_too_large(self, cells: tuple[str, ...], error: CohortTooLargeError) -> None:
        ray.get(self._reasons.tell_too_large.remote(cells, error))


def _told(reasons: Any, cohort: str) -> tuple[dict[str, Reason], list[str]]:
    try:
        told: tuple[dict[str, Reason], list[str]] = ray.get(reasons.told.remote(cohort))
        return told
    except ray.exceptions.RayError:  # it is lost, and with it only the words
        return {}, []


def beside_the_driver() -> ray.tune.PlacementGroupFactory:
    """A place for a holder, on the driver's node as long as there is room.

    It and Ray Train's controller, which starts where it is, then live and die with the driver, and
    a node that is lost takes workers only.
    """
    known = inspect.signature(placement_group).parameters
    node = ray.get_runtime_context().get_node_id()
    near = {"_soft_target_node_id": node} if "_soft_target_node_id" in known else {}
    # The holder only waits; without CPUs of its own it starves no task.
    return ray.tune.PlacementGroupFactory(
        [{"memory": HOLDER_BYTES}], strategy="STRICT_PACK", **near
    )
