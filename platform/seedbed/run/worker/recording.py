"""What a trial leaves: its evaluation, its costs, its weights and its record."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import torch.distributed as dist

from seedbed.data.fault import Fault
from seedbed.data.order import ORDER_SCHEMA
from seedbed.data.shards.index import bad_samples
from seedbed.evaluate.zeroshot import ZeroShot, zero_shot
from seedbed.run.worker.cohort import CohortTraining
from seedbed.run.worker.held_out import HeldOutPairs, read_held_out
from seedbed.run.worker.variant import Variant
from seedbed.storage.results import Store
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
        self.rank, self.world = rank, world
        self.store = Store(assignment.storage)
        self.held_out = held_out or read_held_out(assignment, rank, world)

    def record(self, variant: Variant) -> None:
        """Write down how `variant` ended. A completed one is evaluated first."""
        metrics: dict[str, float] = {}
        result: ZeroShot | None = None
        if variant.status == "running":
            result = self._evaluated(variant)
            if result is not None and result.num_not_finite:
                variant.diverge(
                    f"{result.num_not_finite:,} of {len(result.ids):,} held-out pictures have "
                    "scores that are not finite"
                )
        completed = variant.status == "running"
        if completed:
            if result is not None:
                metrics |= result.metrics(len(self.held_out.candidates.names))
            metrics |= {f"final/{name}": v for name, v in _last(variant).items()}
        metrics |= self._costs(variant)
        if self.rank != 0:
            return
        key = variant.trial.key
        if completed:
            if result is not None:
                self.store.write_bytes(example_table(result), "trials", key, "examples.parquet")
            weights = io.BytesIO()
            torch.save(variant.model.state_dict(), weights)
            self.store.write_bytes(weights.getvalue(), "trials", key, "model.pt")
        record = self._as_record(variant, "completed" if completed else variant.status, metrics)
        # Last: a record says that everything beside it is whole.
        name = "failure.json" if record.status == "failed" else "record.json"
        if faults := [*sorted(self.training.faults), *map(_as_held_out, self.held_out.faults)]:
            self.store.write_bytes(bad_samples(faults), "trials", key, "bad_samples.parquet")
        self.store.write_json(record.to_json(), "trials", key, name)

    def _evaluated(self, variant: Variant) -> ZeroShot | None:
        """All ranks' zero-shot results; None where nothing aligned pictures with names."""
        variant.agree()
        test = self.held_out.test
        mine = zero_shot(
            variant.model,
            test.images,
            test.ids,
            self.held_out.candidates,
            context=variant.recipe.text.context,
            device=self.training.device,
        )
        return None if mine is None else self._gathered(mine)

    def _as_record(self, variant: Variant, status: Any, metrics: dict[str, float]) -> TrialRecord:
        trial = variant.trial
        return TrialRecord(
            key=trial.key,
            study=self.assignment.study,
            scale=self.assignment.scale,
            cell=dict(trial.cell),
            seed=trial.seed,
            cohort=self.assignment.cohort.id,
            status=status,
            reason=variant.reason,
            metrics=metrics,
            curve=tuple(variant.curve),
            order_hash=self.training.order_hash,
            data_fingerprint=self.assignment.corpus.fingerprint,
            test_digest=self.held_out.digest,
            recipe_key=trial.key,
            code_version=self.assignment.code_version,
            recipe=trial.recipe.flatten(),
            order_schema=ORDER_SCHEMA,
            made_by=" then ".join(self.training.made_by),
        )

    def _costs(self, variant: Variant) -> dict[str, float]:
        """What the trial took: its own steps, and the rest of the cohort's time apart.

        `cost/device_hours` are device-hours on GPUs and core-hours on CPUs, of all ranks and
        without the start-up of a process; `cost/pflop` is the arithmetic that the steps ask for.
        """
        training, clock = self.training, variant.clock
        planned = self.assignment.costs[variant.trial.key]
        others = sum(v.clock.total_seconds for v in training.variants.values())
        return {
            "cost/device_hours": self._summed(clock.cost_seconds) / 3600,
            "cost/pflop": planned.train_flops * variant.samples_seen / planned.samples / 1e15,
            "cost/train_seconds": clock.train_seconds,
            "cost/startup_seconds": clock.startup_seconds,
            "cost/shared_seconds": max(0.0, training.seconds - others),
            "cost/samples": float(variant.samples_seen),
            "cost/image_views": float(variant.image_views * self.world),
            "cost/text_tokens": float(variant.text_tokens * self.world),
            "cost/num_params": float(sum(p.numel() for p in variant.model.parameters())),
            "data/bad_samples": float(training.num_faults),
            "data/bad_test_samples": float(len(self.held_out.faults)),
            "data/num_samples": float(self.assignment.corpus.train.num_samples),
        } | {
            # Named by the rule alone: its settings are in the recipe.
            f"data/removed/{number}_{step.name.partition('(')[0].partition('=')[0]}": float(
                step.num_removed
            )
            for number, step in enumerate(self.assignment.corpus.steps, 1)
        }

    def _summed(self, value: float) -> float:
        """The sum over ranks."""
        if self.world == 1:
            return value
        told = torch.tensor(value, dtype=torch.float64, device=self.training.device)
        dist.all_reduce(told)
        return float(told)

    def _gathered(self, mine: ZeroShot) -> ZeroShot:
        """All ranks' examples, in the order of their ids."""
        parts: list[Any] = [mine]
        if self.world > 1:
            parts = [None] * self.world
            dist.all_gather_object(parts, mine)
        ids = np.concatenate([part.ids for part in parts])
        line = np.argsort(ids, kind="stable")
        return ZeroShot(
            ids[line],
            np.concatenate([part.among_all for part in parts])[line],
            np.concatenate([part.among_100 for part in parts])[line],
            sum(part.num_not_finite for part in parts),
        )


def _as_held_out(fault: Fault) -> Fault:
    """`fault`, as it stands beside those of training."""
    return fault._replace(reason=f"{fault.reason} (held out)")


def _last(variant: Variant) -> dict[str, float]:
    point = variant.curve[-1] if variant.curve else {}
    return {
        name.removeprefix("train/"): value for name, value in point.items() if name != "samples"
    }


def example_table(result: ZeroShot) -> bytes:
    """Per picture: its id, and how many names scored at least as high as its own."""
    table = pa.table(
        {"id": result.ids, "among_all": result.among_all, "among_100": result.among_100}
    )
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()
