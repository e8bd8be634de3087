"""What a trial leaves: its evaluation, its costs, its weights and its record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from seedbed.data.fault import Fault
from seedbed.data.order import ORDER_SCHEMA
from seedbed.data.select.removed import removed
from seedbed.data.shards.kept.bad import bad_samples
from seedbed.evaluate.means import means_over
from seedbed.evaluate.scores import Scores
from seedbed.evaluate.task import Task
from seedbed.interchange.found import WEIGHTS
from seedbed.interchange.weights import digest_of, packed
from seedbed.model.gather import sum_over_ranks
from seedbed.run.worker.cohort import CohortTraining
from seedbed.run.worker.held_out import HeldOutPairs, read_held_out
from seedbed.run.worker.scoring import scored
from seedbed.run.worker.variant import Variant
from seedbed.storage.folder import Folder
from seedbed.study import recorded
from seedbed.study.record import TrialRecord

if TYPE_CHECKING:
    from seedbed.run.worker.assignment import Assignment


class Recorder:
    """Evaluates and records the variants of a cohort that have ended, on every rank together.

    `held_out` are the pairs that they are evaluated on, where these have been read already.
    """

    def __init__(
        self,
        assignment: Assignment,
        training: CohortTraining,
        rank: int,
        world: int,
        held_out: HeldOutPairs | None = None,
    ) -> None:
        self.assignment, self.training = assignment, training
        self.rank = rank
        self.store = Folder(assignment.storage)
        self.held_out = held_out or read_held_out(assignment, rank, world)

    def record(self, variant: Variant) -> None:
        """Write down how `variant` ended. A completed one is evaluated first."""
        answers: list[tuple[Task[Any], Scores]] = []
        if variant.status == "running":
            answers = self._evaluated(variant)
        metrics: dict[str, float] = {}
        completed = variant.status == "running"
        if completed:
            for task, scores in answers:
                metrics |= task.values(scores)
            metrics |= means_over(metrics, [one.test_set.name for one in self.assignment.tests])
            metrics |= {f"{recorded.FINAL}{name}": v for name, v in _last(variant).items()}
        metrics |= self._costs(variant)
        record = self._as_record(variant, "completed" if completed else variant.status, metrics)
        if self.rank == 0:
            self._write(variant, record, answers)
        variant.release()

    def _write(
        self, variant: Variant, record: TrialRecord, answers: list[tuple[Task[Any], Scores]]
    ) -> None:
        key = variant.trial.key
        if record.status == "completed":
            for task, scores in answers:
                place = ("trials", key, *task.file.split("/"))
                self.store.write_bytes(scores.table(), *place)
                if result := task.result(key, variant.model, scores):
                    self.store.write_json(result, *place[:-1], f"{Path(place[-1]).stem}.json")
            if self.assignment.keep_weights:
                weights = packed(variant.model.state_dict())
                self.store.write_bytes(weights, "trials", key, WEIGHTS)
                record = replace(record, weights=digest_of(weights))
        # Last: a record says that everything beside it is whole.
        name = "failure.json" if record.status == "failed" else "record.json"
        if faults := [*sorted(self.training.faults), *map(_as_held_out, self.held_out.faults)]:
            self.store.write_bytes(bad_samples(faults), "trials", key, "bad_samples.parquet")
        self.store.write_json(record.to_json(), "trials", key, name)

    def _evaluated(self, variant: Variant) -> list[tuple[Task[Any], Scores]]:
        """All ranks' scores by every task that suits the model.

        Scores that are no numbers end `variant` as diverged, on every rank.
        """
        variant.model.to(self.training.device)  # one that had ended and was recorded elsewhere
        found: list[tuple[Task[Any], Scores]] = []
        for task, scores in scored(variant, self.held_out.asked):
            if scores.num_not_finite:
                variant.diverge(
                    f"{scores.num_not_finite:,} of {len(scores.ids):,} {task.examples} have "
                    "scores that are not finite"
                )
                break
            found.append((task, scores))
        return found

    def _as_record(self, variant: Variant, status: Any, metrics: dict[str, float]) -> TrialRecord:
        trial = variant.trial
        return TrialRecord(
            key=trial.key,
            study=self.assignment.study,
            scale=self.assignment.scale,
            cell=trial.cell,
            seed=trial.seed,
            cohort=self.assignment.cohort.id,
            status=status,
            reason=variant.reason,
            failure=variant.failure,
            attempt=self.assignment.attempt_of(trial.key),
            metrics=metrics,
            curve=tuple(variant.curve),
            order_hash=self.training.order_hash_after(variant.step_number),
            data_fingerprint=self.assignment.corpus.fingerprint,
            test_digest=self.held_out.digest,
            recipe_key=trial.key,
            code_version=self.assignment.code_version,
            recipe=trial.recipe.flatten(),
            order_schema=ORDER_SCHEMA,
            made_by=" then ".join(self.training.made_by),
            layout=self.assignment.layout,
            role=trial.role,
            tests={one.test_set.name: one.protocol for one in self.assignment.tests},
        )

    def _costs(self, variant: Variant) -> dict[str, float]:
        """What the trial took: its own steps, and the rest of the cohort's time apart.

        `cost/device_hours` are device-hours on GPUs and core-hours on CPUs, of all ranks and
        without the start-up of a process; `cost/pflop` is the arithmetic that the steps ask for.
        """
        training, clock = self.training, variant.clock
        planned = self.assignment.costs[variant.trial.key]
        return {
            recorded.DEVICE_HOURS.name: self._summed(clock.cost_seconds) / 3600,
            recorded.PFLOP.name: planned.train_flops
            * variant.samples_seen
            / planned.samples
            / 1e15,
            recorded.TRAIN_SECONDS.name: clock.train_seconds,
            recorded.STARTUP_SECONDS.name: clock.startup_seconds,
            recorded.SHARED_SECONDS.name: training.shared_seconds,
            recorded.SAMPLES.name: float(variant.samples_seen),
            recorded.IMAGE_VIEWS.name: float(variant.image_views),
            recorded.TEXT_TOKENS.name: float(variant.text_tokens),
            recorded.NUM_PARAMS.name: float(sum(p.numel() for p in variant.model.parameters())),
            recorded.BAD_SAMPLES.name: float(training.num_faults),
            recorded.BAD_TEST_SAMPLES.name: float(len(self.held_out.faults)),
            recorded.NUM_SAMPLES.name: float(self.assignment.corpus.train.num_samples),
        } | {
            removed(number, step.name).name: float(step.num_removed)
            for number, step in enumerate(self.assignment.corpus.steps, 1)
        }

    def _summed(self, value: float) -> float:
        """The sum over ranks."""
        told = torch.tensor(value, dtype=torch.float64, device=self.training.device)
        return float(sum_over_ranks(told))


def _as_held_out(fault: Fault) -> Fault:
    """`fault`, as it stands beside those of training."""
    return fault._replace(reason=f"{fault.reason} (held out)")


def _last(variant: Variant) -> dict[str, float]:
    point = variant.curve[-1] if variant.curve else {}
    return {
        name.removeprefix(recorded.CURVE): value
        for name, value in point.items()
        if name.startswith(recorded.CURVE)
    }
