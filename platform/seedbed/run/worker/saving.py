"""Writes a cohort's checkpoints: each worker its part, as often as they are worth their cost."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import ray
import ray.train

from seedbed.interchange.state_file import write_state
from seedbed.run.worker.assignment import Assignment
from seedbed.run.worker.checkpoint import (
    CHECKPOINT_FILE,
    PLACE_FILE,
    data_mark,
    digest_of,
    place_of,
    variant_file,
)
from seedbed.run.worker.cohort import CohortTraining
from seedbed.run.worker.interval import Interval
from seedbed.run.worker.mesh import Mesh
from seedbed.storage.folder import Folder
from seedbed.storage.scratch import scratch_folder


class Saver:
    """Of one worker; all workers of a cohort make and call it together."""

    def __init__(
        self, assignment: Assignment, training: CohortTraining, mesh: Mesh, store: Folder
    ) -> None:
        self.assignment, self.training = assignment, training
        self.mesh, self.store = mesh, store
        nodes = set(mesh.of_every_worker(ray.get_runtime_context().get_node_id()))
        self._interval = Interval(assignment.checkpoint_seconds, len(nodes), time.monotonic())

    @property
    def is_due(self) -> bool:
        """By this worker's clock."""
        return self._interval.is_due(time.monotonic())

    def save(self, report: dict[str, Any]) -> None:
        """Send `report` to the driver with a checkpoint; it is kept when this returns."""
        began = time.monotonic()
        for variant in self.training.variants.values():
            variant.agree()
        with scratch_folder() as folder:
            self._write(Path(folder))
            if self.mesh.is_first:
                checkpoint = ray.train.Checkpoint.from_directory(folder)
                # A bucket is written by our client, which repeats what fails; Ray's does not.
                upload = None if self.store.local else self._upload
                ray.train.report(report, checkpoint=checkpoint, checkpoint_upload_fn=upload)
            else:
                ray.train.report(report)
        self._interval.saved(began, time.monotonic())

    def _upload(self, checkpoint: ray.train.Checkpoint, name: str) -> ray.train.Checkpoint:
        storage = ray.train.get_context().get_storage()
        path = f"{storage.experiment_fs_path}/{name}"
        self.store.upload(Path(checkpoint.path), *self.store.parts(path))
        return ray.train.Checkpoint(path, storage.storage_filesystem)

    def _write(self, folder: Path) -> None:
        """This worker's part of the checkpoint, which all write together into one folder."""
        fingerprint = self.assignment.corpus.fingerprint
        state = self.training.state_dict() | data_mark(fingerprint)
        variants = state.pop("variants")
        if self.mesh.rank == 0:
            write_state(state, folder / CHECKPOINT_FILE)
        if self.mesh.is_first:
            for key, variant in variants.items():
                # With its recipe: it is a model by itself, for who evaluates it.
                recipe = self.training.trials[key].recipe.flatten()
                told = variant | {"recipe": recipe, "data_fingerprint": fingerprint}
                write_state(told, folder / variant_file(key))
        files = {path.name: (path.stat().st_size, digest_of(path)) for path in folder.iterdir()}
        written = self.mesh.of_every_worker((files, self.training.sound))
        every = {name: told for part, _ in written for name, told in part.items()}
        if self.mesh.rank == 0:
            place = place_of(
                self.assignment.cohort.id,
                fingerprint=fingerprint,
                step_number=self.training.step_number,
                sizes={name: size for name, (size, _) in every.items()},
                digests={name: digest for name, (_, digest) in every.items()},
                keys={key for _, sound in written for key in sound},
            )
            (folder / PLACE_FILE).write_text(json.dumps(place))
