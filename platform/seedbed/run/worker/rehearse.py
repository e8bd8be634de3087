"""A cohort that trains nothing: its trials measure a response surface. The rest is real."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import ray.train

from seedbed.errors import INFRASTRUCTURE
from seedbed.evaluate.scores import Scores
from seedbed.evaluate.tasks import all_tasks
from seedbed.metric import Metric
from seedbed.plan.cohort import Cohort
from seedbed.plan.cost import Cost
from seedbed.plan.surface import Surface
from seedbed.run.worker.jobs import jobs
from seedbed.run.worker.message import CurvePoint, Message
from seedbed.storage.folder import Folder
from seedbed.study import recorded
from seedbed.study.record import Status, TrialRecord
from seedbed.study.trial import Trial

FINGERPRINT = "rehearsal"
NUM_POINTS = 12  # of a curve
NUM_IMAGES = 1_000  # of the test set that nobody looked at


@dataclass(frozen=True)
class Rehearsal:
    """All that a worker needs to pretend: the cohort, the surface, the plan's costs by key."""

    study: str
    scale: str
    cohort: Cohort
    surface: Surface
    responses: tuple[Metric, ...]
    costs: Mapping[str, Cost]
    storage: str
    code_version: dict[str, str]
    attempts: Mapping[str, int] = field(default_factory=dict)  # that failed at earlier starts
    retries: int = 0  # of this start, before this attempt

    def attempt_of(self, key: str) -> int:
        """The number of this attempt at a trial, the first being 1."""
        return 1 + self.attempts.get(key, 0) + self.retries


def rehearse(config: dict[str, Any]) -> None:
    """The Ray Train loop of one rank. The jobs are each a Rehearsal."""
    for job in jobs(config):
        _rehearse(job)


def _rehearse(job: Rehearsal) -> None:
    rank = ray.train.get_context().get_world_rank()
    store = Folder(job.storage)
    for trial in job.cohort.trials:
        # A trial that failed is run again by the same command, and is not failed a second time.
        again = store.exists("trials", trial.key, "failed_before.json")
        if not store.exists("trials", trial.key, "record.json"):
            record = pretended(job, trial, failed_before=again)
            if rank == 0:
                write_rehearsed(store, job, record)
    # Once: a report waits until Ray looks at its workers, and this takes no time beside it.
    message = Message(
        samples=job.cohort.samples,
        seconds=0.0,
        points=tuple(
            CurvePoint(trial.key, int(point["samples"]), _metrics(point))
            for trial in job.cohort.trials
            for point in _curve(job.surface, trial)
        ),
        finished=tuple(trial.key for trial in job.cohort.trials),
    )
    ray.train.report(message.to_report())


def pretended(job: Rehearsal, trial: Trial, *, failed_before: bool = False) -> TrialRecord:
    """The record that the trial would leave, by the surface."""
    fate = job.surface.fate(trial.key)
    status: Status = "completed"
    reason = ""
    if fate == "failed" and not failed_before:
        status, reason = "failed", "rehearsed: the worker was lost"
    elif fate == "diverged":
        status, reason = "diverged", "rehearsed: the loss is not a number"
    metrics = _costs(job, trial)
    if status == "completed":
        metrics |= _responses(job, trial)
    return TrialRecord(
        key=trial.key,
        study=job.study,
        scale=job.scale,
        cell=trial.cell,
        seed=trial.seed,
        cohort=job.cohort.id,
        status=status,
        reason=reason,
        failure=INFRASTRUCTURE if status == "failed" else "",
        attempt=job.attempt_of(trial.key),
        metrics=metrics,
        curve=tuple(_curve(job.surface, trial)),
        order_hash=trial.stream_key,
        data_fingerprint=FINGERPRINT,
        recipe_key=trial.key,
        code_version=job.code_version,
        recipe=trial.recipe.flatten(),
        role=trial.role,
    )


def _responses(job: Rehearsal, trial: Trial) -> dict[str, float]:
    """Every response as the surface has it, each with shifts and noise of its own."""
    surface, cell = job.surface, trial.cell
    primary = job.responses[0]
    lost = surface.lost(cell, trial.flat)
    drawn = {primary: surface.measured(trial.key, cell, trial.seed) - lost}
    for metric in job.responses[1:]:
        if not metric.is_cost:
            # About where a looser score, or a loss, of such a model lies.
            base = surface.mean + (1 - surface.mean) / 3 if metric.is_share else 5 - surface.mean
            at = metric.name, base, trial.key, cell, trial.seed
            drawn[metric] = surface.measured_beside(*at) - (lost if metric.is_share else 0.0)
    found = {m.name: min(1.0, max(0.0, v)) if m.is_share else v for m, v in drawn.items()}
    return found | {m.out_of: float(NUM_IMAGES) for m in drawn if m.out_of}


def _costs(job: Rehearsal, trial: Trial) -> dict[str, float]:
    cost = job.costs[trial.key]
    hours = job.surface.cost(trial.key, cost.reference_hours)
    return {
        recorded.DEVICE_HOURS.name: hours,
        recorded.PFLOP.name: cost.train_flops / 1e15,
        recorded.TRAIN_SECONDS.name: 3600 * hours,
        recorded.STARTUP_SECONDS.name: 0.0,
        recorded.SHARED_SECONDS.name: 0.0,
        recorded.SAMPLES.name: float(cost.samples),
        recorded.IMAGE_VIEWS.name: float(cost.image_views),
        recorded.TEXT_TOKENS.name: float(cost.text_tokens),
        recorded.NUM_PARAMS.name: float(cost.num_params),
    }


def _curve(surface: Surface, trial: Trial) -> list[dict[str, float]]:
    """A falling loss, so that pages of curves have one."""
    total = trial.recipe.budget.steps * trial.recipe.budget.batch
    level = 2.0 - surface.value(trial.cell)
    random = surface.random("curve", trial.key)
    return [
        {
            "samples": float(total * (n + 1) // NUM_POINTS),
            recorded.TRAINING_LOSS.name: level
            + 2.5 * math.exp(-3 * n / NUM_POINTS)
            + 0.02 * random.normal(),
        }
        for n in range(NUM_POINTS)
    ]


def _metrics(point: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in point.items() if name != "samples"}


def write_rehearsed(store: Folder, job: Rehearsal, record: TrialRecord) -> None:
    name = "failure.json" if record.status == "failed" else "record.json"
    for task in all_tasks() if record.status == "completed" else ():
        counted = {metric.name: metric.column for metric in task.metrics if metric.column}
        shares = [value for metric, value in record.metrics.items() if metric in counted]
        if shares:
            scores = _scores(job.surface, record.key, shares[0], sorted(set(counted.values())))
            store.write_bytes(scores.table(), "trials", record.key, task.file)
    store.write_json(record.to_json(), "trials", record.key, name)


def _scores(surface: Surface, key: str, share: float, columns: Sequence[str]) -> Scores:
    """Which examples the trial got right: some are hard for every trial, as in life."""
    difficulty = surface.random("pictures").normal(size=NUM_IMAGES)
    luck = difficulty + 0.5 * surface.random("luck", key).normal(size=NUM_IMAGES)
    right = np.argsort(np.argsort(luck)) < round(share * NUM_IMAGES)
    rank = np.where(right, 0, 9).astype(np.int64)  # so many names beat its own
    return Scores(np.arange(NUM_IMAGES, dtype=np.int64), dict.fromkeys(columns, rank))
