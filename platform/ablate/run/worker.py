"""What each Ray Train worker runs: one rank of one cohort, from its checkpoint to its records."""

from __future__ import annotations

import io
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray.train
import torch
import torch.distributed as dist

from ablate.data.corpus import OpenCorpus
from ablate.data.index import bad_samples
from ablate.data.rendering import Span, TestSet, render_test_set
from ablate.data.stream import stream
from ablate.errors import AblateError
from ablate.evaluate.zeroshot import Candidates, ZeroShot, zero_shot
from ablate.run.cohort import CohortTraining, Point, order_of, rendering_of
from ablate.run.store import Store
from ablate.run.variant import Variant
from ablate.study.plan import Cohort
from ablate.track.record import TrialRecord

CHECKPOINT_FILE = "cohort.pt"
REPORT_SECONDS = 1.0  # between reports to the driver
FIRST_CHECKPOINT_SECONDS = 5.0


@dataclass(frozen=True)
class Assignment:
    """All that a worker needs: what to train, on what, and where results go."""

    study: str
    scale: str
    cohort: Cohort
    corpus: OpenCorpus
    storage: str
    code_version: dict[str, str]
    threads: int
    num_tasks: int
    checkpoint_seconds: float
    wordnet: Any = None  # a reference to WordNet's files, where some member reads synonyms


def train(config: dict[str, Any]) -> None:
    """The Ray Train loop of one rank. `config["assignment"]` is an Assignment."""
    assignment: Assignment = config["assignment"]
    torch.set_num_threads(assignment.threads)
    try:
        _Rank(assignment).run()
    except AblateError as error:
        # Raised again it would only be retried: it is the data or the study that must change.
        ray.train.report({"error": str(error), "points": [], "finished": []})


class _Rank:
    """One rank of a cohort's training."""

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        context = ray.train.get_context()
        self.rank, self.world = context.get_world_rank(), context.get_world_size()
        self.device = ray.train.torch.get_device()
        self.store = Store(assignment.storage)
        self.training = CohortTraining(assignment.cohort, self.device)
        self.finished: list[str] = []
        self._points: list[Point] = []
        self._reported = self._saved = time.monotonic()
        self._saved_once = False
        self._test: tuple[TestSet, Candidates] | None = None
        self._restore()

    def _restore(self) -> None:
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is None:
            return
        with checkpoint.as_directory() as folder:
            state = torch.load(
                Path(folder) / CHECKPOINT_FILE, map_location=self.device, weights_only=True
            )
        self.training.load_state_dict(state)

    def run(self) -> None:
        training, assignment = self.training, self.assignment
        batch = assignment.cohort.recipe.budget.batch
        span = Span(training.samples_seen, assignment.cohort.samples, batch, self.rank, self.world)
        batches = stream(
            assignment.corpus.train,
            order_of(assignment.corpus, assignment.cohort.recipe),
            span,
            rendering_of(assignment.cohort),
            num_tasks=assignment.num_tasks,
            wordnet=assignment.wordnet,
        )
        self._report(save=False)  # the driver learns that the stream has started
        # A cohort that had ended before it could be recorded has nothing left to read.
        for columns in batches if training.active else ():
            training.step(columns)
            last = not training.active
            if training.step_number % training.log_every == 0 or last:
                self._log()
            if last:
                break
        self._points += training.collect()
        self._finish_variants()
        self._report(save=False)

    def _log(self) -> None:
        self._points += self.training.collect()
        self.training.check_faults()
        ended = [v for v in self.training.variants.values() if not v.active]
        if any(v.trial.key not in self.finished for v in ended) and self.training.active:
            self._finish_variants()
        now = time.monotonic()
        wait = self.assignment.checkpoint_seconds if self._saved_once else FIRST_CHECKPOINT_SECONDS
        save = now - self._saved >= min(wait, self.assignment.checkpoint_seconds)
        report = now - self._reported >= REPORT_SECONDS
        save, report = self._agreed(save, report)
        if save or report:
            self._report(save=save and self.training.active)

    def _agreed(self, *flags: bool) -> list[bool]:
        """Rank 0's flags on every rank: clocks differ, and a report is a barrier."""
        if self.world == 1:
            return list(flags)
        told = torch.tensor(flags, dtype=torch.int32, device=self.device)
        dist.broadcast(told, src=0)
        return [bool(flag) for flag in told.tolist()]

    def _report(self, *, save: bool) -> None:
        """Send new points and finished trials to the driver, with a checkpoint if asked."""
        metrics = {
            "cohort": self.assignment.cohort.id,
            "samples": self.training.samples_seen,
            "seconds": self.training.seconds,
            "points": [(p.key, p.samples, p.metrics) for p in self._points],
            "finished": list(self.finished),
            "error": "",
        }
        self._points = []
        self._reported = time.monotonic()
        if save:
            for variant in self.training.variants.values():
                variant.agree()
        if not save or self.rank != 0:
            ray.train.report(metrics)
        else:
            with tempfile.TemporaryDirectory() as folder:
                torch.save(self.training.state_dict(), Path(folder) / CHECKPOINT_FILE)
                checkpoint = ray.train.Checkpoint.from_directory(folder)
                ray.train.report(metrics, checkpoint=checkpoint)
        if save:
            self._saved, self._saved_once = time.monotonic(), True

    def _finish_variants(self) -> None:
        """Evaluate and record every variant that has ended and is not recorded yet."""
        for key, variant in self.training.variants.items():
            if variant.active or key in self.finished:
                continue
            if not self.store.exists("trials", key, "record.json"):
                self._record(variant)
            self.finished.append(key)

    def _record(self, variant: Variant) -> None:
        status = "completed" if variant.status == "running" else variant.status
        metrics = self._costs(variant)
        result: ZeroShot | None = None
        if status == "completed":
            variant.agree()
            test, candidates = self._test_set()
            mine = zero_shot(
                variant.model,
                test.images,
                test.ids,
                candidates,
                context=variant.recipe.text.context,
                device=self.device,
            )
            if mine is not None:
                result = self._gathered(mine)
                metrics |= result.metrics(len(candidates.names))
            metrics |= {f"final/{name}": v for name, v in _last(variant).items()}
        if self.rank != 0:
            return
        key = variant.trial.key
        if status == "completed":
            if result is not None:
                self.store.write_bytes(example_table(result), "trials", key, "examples.parquet")
            weights = io.BytesIO()
            torch.save(variant.model.state_dict(), weights)
            self.store.write_bytes(weights.getvalue(), "trials", key, "model.pt")
        record = self._as_record(variant, status, metrics)
        # Last: a record says that everything beside it is whole.
        name = "failure.json" if status == "failed" else "record.json"
        if self.training.faults:
            faults = bad_samples(sorted(self.training.faults))
            self.store.write_bytes(faults, "trials", key, "bad_samples.parquet")
        self.store.write_json(record.to_json(), "trials", key, name)

    def _as_record(self, variant: Variant, status: Any, metrics: dict[str, float]) -> TrialRecord:
        trial = variant.trial
        return TrialRecord(
            key=trial.key,
            study=self.assignment.study,
            scale=self.assignment.scale,
            cell={name: str(label) for name, label in trial.cell},
            seed=trial.seed,
            cohort=self.assignment.cohort.id,
            status=status,
            reason=variant.reason,
            metrics=metrics,
            curve=tuple(variant.curve),
            order_hash=self.training.order_hash,
            data_fingerprint=self.assignment.corpus.fingerprint,
            recipe_key=trial.key,
            code_version=self.assignment.code_version,
            recipe=trial.recipe.flatten(),
        )

    def _costs(self, variant: Variant) -> dict[str, float]:
        """What the trial took: its own steps, and the rest of the cohort's time apart."""
        training = self.training
        own = variant.train_seconds
        others = sum(v.train_seconds for v in training.variants.values())
        return {
            "cost/device_hours": own * self.world / 3600,
            "cost/train_seconds": own,
            "cost/shared_seconds": max(0.0, training.seconds - others),
            "cost/samples": float(variant.samples_seen),
            "cost/image_views": float(variant.image_views * self.world),
            "cost/text_tokens": float(variant.text_tokens * self.world),
            "cost/num_params": float(sum(p.numel() for p in variant.model.parameters())),
            "data/bad_samples": float(training.num_faults),
            "data/num_samples": float(self.assignment.corpus.train.num_samples),
        } | {
            # Named by the rule alone: its settings are in the recipe.
            f"data/removed/{number}_{step.name.partition('(')[0].partition('=')[0]}": float(
                step.num_removed
            )
            for number, step in enumerate(self.assignment.corpus.steps, 1)
        }

    def _test_set(self) -> tuple[TestSet, Candidates]:
        """This rank's part of the held-out pairs, read once for the whole cohort."""
        if self._test is None:
            test = render_test_set(
                self.assignment.corpus.test,
                rendering_of(self.assignment.cohort),
                rank=self.rank,
                world=self.world,
            )
            captions: list[Any] = [test.captions]
            if self.world > 1:
                captions = [None] * self.world
                dist.all_gather_object(captions, test.captions)
            names = sorted({caption for part in captions for caption in part})
            self._test = test, Candidates.draw(test.captions, names, test.ids)
        return self._test

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
        )


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
