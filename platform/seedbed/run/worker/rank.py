"""One rank of one cohort, from its checkpoint to its records."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray.train
import torch

from seedbed.data.render.render import Columns
from seedbed.data.rounds import Span
from seedbed.data.stream import stream
from seedbed.run.worker.assignment import Assignment
from seedbed.run.worker.batch import Batch
from seedbed.run.worker.checkpoint import (
    CHECKPOINT_FILE,
    PLACE_FILE,
    Kept,
    check_same_data,
    data_mark,
    last_of,
    place_of,
    variant_file,
)
from seedbed.run.worker.cohort import CohortTraining, order_of, rendering_of
from seedbed.run.worker.feed import Feed
from seedbed.run.worker.held_out import read_held_out
from seedbed.run.worker.memory import check_device
from seedbed.run.worker.mesh import Mesh
from seedbed.run.worker.message import CurvePoint, Message
from seedbed.run.worker.origin import made_by
from seedbed.run.worker.recording import Recorder
from seedbed.storage.folder import Folder
from seedbed.storage.scratch import remove_stale, scratch_folder

REPORT_SECONDS = 1.0  # between reports to the driver
FIRST_CHECKPOINT_SECONDS = 5.0


class Rank:
    """One rank of a cohort's training."""

    def __init__(self, assignment: Assignment, mesh: Mesh) -> None:
        self.assignment, self.mesh = assignment, mesh
        self.device = ray.train.torch.get_device()
        self.store = Folder(assignment.storage)
        remove_stale()  # of an earlier life on this node, which may have ended within a checkpoint
        # Before anything trains: a test set that cannot be used is found out at once.
        held_out = mesh.first_alone(lambda: read_held_out(assignment, mesh.part, mesh.num_parts))
        costs = assignment.costs
        mine = mesh.mine(assignment.cohort.trials, lambda trial: costs[trial.key].train_flops)
        check_device(mine, self.device, mesh.num_parts)
        self.training = CohortTraining(assignment.cohort, self.device, mine)
        self.recorder = Recorder(assignment, self.training, mesh.part, mesh.num_parts, held_out)
        self.finished: list[str] = []
        self._points: list[CurvePoint] = []
        self._reported = self._saved = time.monotonic()
        self._saved_once = False
        self._restore()

    def _restore(self) -> None:
        """Go on from the cohort's last checkpoint, or from the one that was chosen for it."""
        assignment, training = self.assignment, self.training
        # How variants are spread changes no number, and is not told.
        parts, threads = self.mesh.num_parts, assignment.threads
        now = made_by(assignment.code_version, self.device, parts, threads)
        kept = self._furthest()
        if kept is None:
            training.made_by = [now]
            return
        place = kept.path
        state = self._loaded(place, CHECKPOINT_FILE)
        check_same_data(state, assignment.corpus.fingerprint)
        state["variants"] = {k: self._loaded(place, variant_file(k)) for k in training.variants}
        training.load_state_dict(state)
        if now not in training.made_by:
            training.made_by.append(now)

    def _furthest(self) -> Kept | None:
        """Of the checkpoint that the driver chose and this cohort's own, which an earlier worker
        group may have left, the furthest; the same for all workers."""
        assignment, found = self.assignment, None
        if self.mesh.rank == 0:
            own = last_of(self.store, assignment.cohort, assignment.since)
            both = [kept for kept in (assignment.kept, own) if kept is not None]
            found = max(both, key=lambda kept: kept.step_number, default=None)
        return self.mesh.of_every_worker(found)[0]

    def _loaded(self, place: Sequence[str], name: str) -> Any:
        with self.store.as_file(*place, name) as file:
            return torch.load(file, map_location=self.device, weights_only=True)

    def run(self) -> None:
        training, assignment = self.training, self.assignment
        batch = assignment.cohort.recipe.budget.batch
        mesh, samples = self.mesh, assignment.cohort.samples
        span = Span(training.samples_seen, samples, batch, mesh.rank, mesh.world)
        batches = stream(
            assignment.corpus.train,
            order_of(assignment.corpus, assignment.cohort.recipe),
            span,
            rendering_of(assignment.cohort),
            num_tasks=assignment.num_tasks,
            assets=assignment.assets,
            retry_seconds=assignment.retry_seconds,
        )
        self._report(save=False)  # the driver learns that the stream has started
        # A cohort that had ended before it could be recorded has nothing left to read.
        active = mesh.any(training.active)
        if active:
            with Feed(batches, self._prepared, self.device) as feed:
                for one in feed:
                    training.step(one)
                    last = training.step_number * batch + batch > samples
                    if training.step_number % training.log_every == 0 or last:
                        active = self._log()
                    if last or not active:
                        break
        self._points += training.collect()
        self._finish_variants()
        self._report(save=False)

    def _prepared(self, columns: Columns) -> Batch:
        """What this worker trains on, of what it has read."""
        mesh = self.mesh
        return self.training.prepare(mesh.exchange(columns), mesh.agree, mesh.part)

    def _log(self) -> bool:
        """Collect, check, record and report what there is; whether anything is left to train."""
        self._points += self.training.collect()
        self.training.check_faults()
        ended = [v for v in self.training.variants.values() if not v.active]
        if any(v.trial.key not in self.finished for v in ended) and self.training.active:
            self._finish_variants()
        now = time.monotonic()
        wait = self.assignment.checkpoint_seconds if self._saved_once else FIRST_CHECKPOINT_SECONDS
        save = now - self._saved >= min(wait, self.assignment.checkpoint_seconds)
        report = now - self._reported >= REPORT_SECONDS
        # Worker 0's clock decides: clocks differ, and a report is a barrier.
        said = self.mesh.of_every_worker((save, report, self.training.active))
        save, report, _ = said[0]
        active = any(flag for *_, flag in said)
        if save or report:
            self._report(save=save and active)
        return active

    def _report(self, *, save: bool) -> None:
        """Send new points and finished trials to the driver, with a checkpoint if asked."""
        told = self.mesh.of_every_worker((self._points, self.finished))
        report = Message(
            self.training.samples_seen,
            self.training.seconds,
            tuple(point for points, _ in told for point in points),
            tuple(dict.fromkeys(key for _, finished in told for key in finished)),
        ).to_report()
        self._points = []
        self._reported = time.monotonic()
        if save:
            self._saved, self._saved_once = time.monotonic(), True
            for variant in self.training.variants.values():
                variant.agree()
        if not save:
            ray.train.report(report)
        else:
            with scratch_folder() as folder:
                self._write_checkpoint(Path(folder))
                if not self.mesh.is_first:
                    ray.train.report(report)
                    return
                checkpoint = ray.train.Checkpoint.from_directory(folder)
                # A bucket is written by our client, which repeats what fails; Ray's does not.
                upload = None if self.store.local else self._upload
                ray.train.report(report, checkpoint=checkpoint, checkpoint_upload_fn=upload)

    def _upload(self, checkpoint: ray.train.Checkpoint, name: str) -> ray.train.Checkpoint:
        storage = ray.train.get_context().get_storage()
        path = f"{storage.experiment_fs_path}/{name}"
        self.store.upload(Path(checkpoint.path), *self.store.parts(path))
        return ray.train.Checkpoint(path, storage.storage_filesystem)

    def _write_checkpoint(self, folder: Path) -> None:
        """This worker's part of the checkpoint, which all write together into one folder."""
        fingerprint = self.assignment.corpus.fingerprint
        state = self.training.state_dict() | data_mark(fingerprint)
        variants = state.pop("variants")
        if self.mesh.rank == 0:
            torch.save(state, folder / CHECKPOINT_FILE)
        if self.mesh.is_first:
            for key, variant in variants.items():
                torch.save(variant, folder / variant_file(key))
        sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
        written = self.mesh.of_every_worker((sizes, self.training.sound))
        if self.mesh.rank == 0:
            place = place_of(
                self.assignment.cohort.id,
                fingerprint=fingerprint,
                step_number=self.training.step_number,
                sizes={name: size for part, _ in written for name, size in part.items()},
                keys={key for _, sound in written for key in sound},
            )
            (folder / PLACE_FILE).write_text(json.dumps(place))

    def _finish_variants(self) -> None:
        """Evaluate and record every variant that has ended and is not recorded yet."""
        for key, variant in self.training.variants.items():
            if variant.active or key in self.finished:
                continue
            if self.store.exists("trials", key, "record.json"):
                variant.release()
            else:
                self.recorder.record(variant)
            self.finished.append(key)


@functools.cache
def mesh_here(data_parallel: int) -> Mesh:
    """This process' place in the mesh, made once: all cohorts of a study have the same one."""
    context = ray.train.get_context()
    return Mesh(context.get_world_rank(), context.get_world_size(), data_parallel)
