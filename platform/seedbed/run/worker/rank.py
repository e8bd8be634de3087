"""One rank of one cohort, from its checkpoint to its records."""

from __future__ import annotations

import json
import time
from pathlib import Path

import ray.train
import torch
import torch.distributed as dist

from seedbed.data.order import Span
from seedbed.data.stream import stream
from seedbed.run.worker.assignment import Assignment
from seedbed.run.worker.checkpoint import (
    CHECKPOINT_FILE,
    PLACE_FILE,
    check_same_data,
    data_mark,
    place_of,
)
from seedbed.run.worker.cohort import CohortTraining, order_of, rendering_of
from seedbed.run.worker.held_out import read_held_out
from seedbed.run.worker.message import CurvePoint, Message
from seedbed.run.worker.origin import made_by
from seedbed.run.worker.recording import Recorder
from seedbed.storage.folder import Folder
from seedbed.storage.scratch import remove_stale, scratch_folder

REPORT_SECONDS = 1.0  # between reports to the driver
FIRST_CHECKPOINT_SECONDS = 5.0


class Rank:
    """One rank of a cohort's training."""

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        context = ray.train.get_context()
        self.rank, self.world = context.get_world_rank(), context.get_world_size()
        self.device = ray.train.torch.get_device()
        self.store = Folder(assignment.storage)
        remove_stale()  # of an earlier life on this node, which may have ended within a checkpoint
        # Before anything trains: a test set that cannot be used is found out at once.
        held_out = read_held_out(assignment, self.rank, self.world)
        self.training = CohortTraining(assignment.cohort, self.device)
        self.recorder = Recorder(assignment, self.training, self.rank, self.world, held_out)
        self.finished: list[str] = []
        self._points: list[CurvePoint] = []
        self._reported = self._saved = time.monotonic()
        self._saved_once = False
        self._restore()

    def _restore(self) -> None:
        """Go on from this run's last checkpoint, or else from the one that was chosen for it."""
        assignment, training = self.assignment, self.training
        now = made_by(assignment.code_version, self.device, self.world, assignment.threads)
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is not None:
            place = self.store.parts(checkpoint.path)
        elif assignment.kept is not None:
            place = tuple(assignment.kept.path)
        else:
            training.made_by = [now]
            return
        with self.store.as_file(*place, CHECKPOINT_FILE) as file:
            state = torch.load(file, map_location=self.device, weights_only=True)
        check_same_data(state, assignment.corpus.fingerprint)
        training.load_state_dict(state)
        if now not in training.made_by:
            training.made_by.append(now)

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
            assets=assignment.assets,
            retry_seconds=assignment.retry_seconds,
        )
        if self.rank == 0:
            members = [trial.key for trial in assignment.cohort.trials]
            self.store.write_json({"trials": members}, "cohorts", f"{assignment.run}.json")
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
        report = Message(
            self.training.samples_seen,
            self.training.seconds,
            tuple(self._points),
            tuple(self.finished),
        ).to_report()
        self._points = []
        self._reported = time.monotonic()
        if save:
            for variant in self.training.variants.values():
                variant.agree()
        if not save or self.rank != 0:
            ray.train.report(report)
        else:
            with scratch_folder() as folder:
                self._write_checkpoint(Path(folder))
                checkpoint = ray.train.Checkpoint.from_directory(folder)
                # A bucket is written by our client, which repeats what fails; Ray's does not.
                upload = None if self.store.local else self._upload
                ray.train.report(report, checkpoint=checkpoint, checkpoint_upload_fn=upload)
        if save:
            self._saved, self._saved_once = time.monotonic(), True

    def _upload(self, checkpoint: ray.train.Checkpoint, name: str) -> ray.train.Checkpoint:
        storage = ray.train.get_context().get_storage()
        path = f"{storage.experiment_fs_path}/{name}"
        self.store.upload(Path(checkpoint.path), *self.store.parts(path))
        return ray.train.Checkpoint(path, storage.storage_filesystem)

    def _write_checkpoint(self, folder: Path) -> None:
        fingerprint = self.assignment.corpus.fingerprint
        state = self.training.state_dict() | data_mark(fingerprint)
        torch.save(state, folder / CHECKPOINT_FILE)
        place = place_of(
            fingerprint=fingerprint,
            step_number=self.training.step_number,
            num_bytes=(folder / CHECKPOINT_FILE).stat().st_size,
            keys=self.training.sound,
        )
        (folder / PLACE_FILE).write_text(json.dumps(place))

    def _finish_variants(self) -> None:
        """Evaluate and record every variant that has ended and is not recorded yet."""
        for key, variant in self.training.variants.items():
            if variant.active or key in self.finished:
                continue
            if not self.store.exists("trials", key, "record.json"):
                self.recorder.record(variant)
            self.finished.append(key)
