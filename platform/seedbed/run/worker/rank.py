"""One rank of one cohort, from its checkpoint to its records."""

from __future__ import annotations

import functools
import sys
import time
from typing import Any

import ray
import ray.train
import torch

from seedbed.data.render.render import Columns
from seedbed.data.rounds import Span
from seedbed.data.stream import stream
from seedbed.errors import DataError, UnavailableError
from seedbed.interchange.beginning import begin
from seedbed.plan.ladder import ladders_of, own_flops
from seedbed.plan.rendering import rendering_of
from seedbed.run.worker import stopping
from seedbed.run.worker.assignment import Assignment
from seedbed.run.worker.batch import Batch
from seedbed.run.worker.checkpoint import (
    CHECKPOINT_FILE,
    Kept,
    check_same_data,
    choices,
    read_part,
    variant_file,
)
from seedbed.run.worker.cohort import CohortTraining
from seedbed.run.worker.diverging import end_diverged, may_be_kept
from seedbed.run.worker.feed import Feed
from seedbed.run.worker.held_out import read_held_out
from seedbed.run.worker.memory import check_device
from seedbed.run.worker.mesh import Mesh
from seedbed.run.worker.message import CurvePoint, Message
from seedbed.run.worker.near import near_here
from seedbed.run.worker.origin import made_by
from seedbed.run.worker.reading import order_of
from seedbed.run.worker.recording import Recorder
from seedbed.run.worker.saving import Saver
from seedbed.run.worker.scoring import Validation
from seedbed.storage.folder import Folder
from seedbed.storage.scratch import remove_stale

REPORT_SECONDS = 1.0  # between reports to the driver


class Rank:
    """One rank of a cohort's training."""

    def __init__(self, assignment: Assignment, mesh: Mesh) -> None:
        self.assignment, self.mesh = assignment, mesh
        self.device = mesh.device
        self.store = Folder(assignment.storage)
        remove_stale()  # of an earlier life on this node, which may have ended within a checkpoint
        # Before anything trains: a test set that cannot be used is found out at once.
        held_out = mesh.first_alone(lambda: read_held_out(assignment, mesh.part, mesh.num_parts))
        flops = {key: cost.train_flops for key, cost in assignment.costs.items()}
        ladders = ladders_of(assignment.cohort.trials)
        shares = mesh.mine(ladders, lambda ladder: own_flops(ladder, flops))
        mine = [trial for ladder in shares for trial in ladder]
        limit = assignment.device_memory
        known = assignment.device_known
        check_device(mine, self.device, mesh.num_parts, limit, is_known=known)
        self.training = CohortTraining(assignment.cohort, self.device, mine, limit)
        self.recorder = Recorder(assignment, self.training, mesh.part, mesh.num_parts, held_out)
        self.validation = Validation(assignment.validate_every, held_out.asked)
        self.finished: list[str] = []
        self._points: list[CurvePoint] = []
        self._reported = time.monotonic()
        self._leaving = False
        self._restore()
        self.saver = Saver(assignment, self.training, mesh, self.store)
        self._looked = self.training.step_number, time.monotonic()
        self._next_look = self.training.step_number + 1

    def _restore(self) -> None:
        """Go on from the cohort's last checkpoint, or from the one that was chosen for it."""
        assignment, training = self.assignment, self.training
        # How variants are spread changes no number, and is not told.
        parts, threads = self.mesh.num_parts, assignment.threads
        now = made_by(assignment.code_version, self.device, parts, threads)
        state = self._state()
        if state is None:
            training.made_by = [now]
            begin(((v.recipe, v.model) for v in training.variants.values()), self.store)
            return
        check_same_data(state, assignment.corpus.fingerprint)
        training.load_state_dict(state)
        if now not in training.made_by:
            training.made_by.append(now)

    def _state(self) -> dict[str, Any] | None:
        """Of the checkpoint that the driver chose and this cohort's own, which an earlier worker
        group may have left, the furthest that every worker finds as it was written."""
        assignment, found = self.assignment, list[Kept]()
        if self.mesh.rank == 0:
            found = choices(self.store, assignment.cohort, assignment.since, assignment.kept)
        files = {variant_file(key): key for key in self.training.trials}
        for kept in self.mesh.of_every_worker(found)[0]:
            read: dict[str, Any] | None = None
            try:
                read = read_part(self.store, kept, [CHECKPOINT_FILE, *files], self.device)
            except UnavailableError:
                raise
            except DataError as fault:
                print(f"caution {fault}", file=sys.stderr)
            if all(self.mesh.of_every_worker(read is not None)) and read is not None:
                state: dict[str, Any] = read.pop(CHECKPOINT_FILE)
                return state | {"variants": {files[name]: part for name, part in read.items()}}
        return None

    def run(self) -> bool:
        """Train to the end, and record it; False where it left early: see `_look`."""
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
            task_cpus=assignment.task_cpus,
            task_memory=assignment.task_memory,
            placed=functools.partial(near_here, assignment.scaling, assignment.task_cpus),
        )
        self._report()  # the driver learns that the stream has started
        # A cohort that had ended before it could be recorded has nothing left to read.
        active = mesh.any(training.active)
        if active:
            with Feed(batches, self._prepared, self.device) as feed:
                for one in feed:
                    training.step(one)
                    if self.validation.is_due(training):
                        end_diverged(training, mesh)  # they get no more points, whoever has looked
                        self._points += self.validation.points(training)
                    last = training.step_number * batch + batch > samples
                    if training.is_due or last:
                        self._log(goes_on=not last)
                        active = training.active or mesh.world > 1
                    # Not at each point: a short budget has one after each step, where workers would
                    # wait for each other, in any step as long as the slowest takes.
                    if last or training.step_number == self._next_look:
                        active = self._look()
                    if last or not active or self._leaving:
                        break
        self._points += training.collect() if not self._leaving else []
        # What follows may take longer than it has.
        if not self._leaving and stopping.node_is_lost():
            self._leave()
        if self._leaving:
            return False
        self._finish_variants()
        self._report()
        return True

    def _prepared(self, columns: Columns) -> Batch:
        """What this worker trains on, of what it has read."""
        mesh = self.mesh
        return self.training.prepare(mesh.exchange(columns), mesh.agree, mesh.part)

    def _log(self, *, goes_on: bool) -> None:
        """Collect the points that there are, check them, and record who has ended.

        Where the cohort `goes_on` after this step, here or at other workers, whoever has ended is
        recorded now: the order's hash is of what it has seen.
        """
        self._points += self.training.collect()
        self.training.check_faults()
        ended = [v for v in self.training.variants.values() if not v.active]
        goes_on = goes_on and (self.training.active or self.mesh.world > 1)
        if goes_on and any(v.trial.key not in self.finished for v in ended):
            self._finish_variants()

    def _look(self) -> bool:
        """Do what is due, all workers together; whether anything is left to train.

        Where a worker's node will be lost, or the study is to stop, they save and leave at once:
        what they would do after would be done again elsewhere.
        """
        end_diverged(self.training, self.mesh)
        now, step_number = time.monotonic(), self.training.step_number
        pace = (step_number - self._looked[0]) / max(1e-9, now - self._looked[1])
        self._looked = step_number, now
        # About as long ago, or it is not this look's: the next one is as far away again.
        report = now - self._reported >= REPORT_SECONDS / 2
        ahead = max(1, int(pace * REPORT_SECONDS))
        stop = report and self.mesh.rank == 0 and stopping.is_asked(self.assignment.since)
        mine = (self.saver.is_due, report, ahead, stop, self.training.active)
        # Worker 0's clock decides: clocks differ, and a report is a barrier.
        said = self.mesh.of_every_worker(mine)
        save, report, ahead, stop, _ = said[0]
        active = any(flag for *_, flag in said)
        leave = active and (stop or ((save or report) and stopping.node_is_lost()))
        if active and (leave or save) and not may_be_kept(self.training, self.mesh):
            self._next_look = step_number + 1  # by then a loss has shown it
            return active
        self._next_look = step_number + ahead
        if leave:
            self._leave()
        elif save or report:
            self._report(save=save and active)
        return active

    def _leave(self) -> None:
        self._report(save=True)
        self._leaving = True
        # Not for a lost node, whose cohort others take up: a later stop would not wait for them.
        if self.mesh.rank == 0 and stopping.is_asked(self.assignment.since):
            stopping.say_left(self.assignment.since, self.assignment.whole)

    def _report(self, *, save: bool = False) -> None:
        """Send new points and finished trials to the driver, with a checkpoint if asked."""
        told = self.mesh.of_every_worker((self._points, self.finished))
        report = Message(
            self.training.samples_seen,
            self.training.seconds,
            tuple(point for points, _ in told for point in points),
            tuple(dict.fromkeys(key for _, finished in told for key in finished)),
            self.assignment.note,
            tuple(trial.key for trial in self.assignment.cohort.trials),
        ).to_report()
        self._points = []
        self._reported = time.monotonic()
        if save:
            self.saver.save(report)
        else:
            ray.train.report(report)

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
def mesh_here(data_parallel: int, on_cpu: bool, seconds: float) -> Mesh:
    """This process' place in the mesh, made once: all cohorts of a study have the same one.

    Its workers wait for each other for so many `seconds`.
    """
    context = ray.train.get_context()
    device = torch.device("cpu") if on_cpu else ray.train.torch.get_device()
    rank, world = context.get_world_rank(), context.get_world_size()
    return Mesh(rank, world, data_parallel, device, seconds)
