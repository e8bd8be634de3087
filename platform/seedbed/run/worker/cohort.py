"""A cohort in training: K variants stepped in turn on the same batches."""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from seedbed.data.fault import Fault
from seedbed.errors import CohortTooLargeError, DataError
from seedbed.model.gather import of_every_rank
from seedbed.plan.cohort import Cohort
from seedbed.plan.ladder import branches_of
from seedbed.run.worker.batch import Agree, Batch, alone, make_batch
from seedbed.run.worker.memory import FirstSteps
from seedbed.run.worker.message import CurvePoint
from seedbed.run.worker.process import prepare
from seedbed.run.worker.variant import Variant, is_due
from seedbed.study.trial import Trial

KEPT_DIGESTS = 4_096  # steps: more than there are between two points of the paper's curves
LEAST_FAULTS = 10  # so many are let pass, however small the fraction allowed


class CohortTraining:
    """The variants of a cohort, their place in the stream, and what they have in common.

    `trials` are those of the cohort that are trained here; without, all are. They may take
    `device_memory` bytes, where that is said. `seconds` is the cohort's time, and `shared_seconds`
    what of it was no variant's own step. A trial that shares the steps of a longer one is no
    variant yet: it becomes one where it leaves that trunk (see `plan/ladder.py`).
    """

    def __init__(
        self,
        cohort: Cohort,
        device: torch.device,
        trials: Sequence[Trial] | None = None,
        device_memory: float = 0.0,
    ) -> None:
        self.cohort, self.device = cohort, device
        mine = cohort.trials if trials is None else trials
        prepare(device, num_compiled=sum(trial.recipe.compile for trial in mine))
        self.trials = {trial.key: trial for trial in mine}
        self.branches = branches_of(mine)  # of those that are on their trunk
        self.variants = {
            key: Variant(trial, device)
            for key, trial in self.trials.items()
            if key not in self.branches
        }
        self.first_steps = FirstSteps(device, len(self.trials), device_memory)
        self.step_number = 0
        self.seconds = self.shared_seconds = 0.0
        self._own_seconds = 0.0  # of steps of variants, when they were last looked at
        self.made_by: list[str] = []  # the processes that trained it, one after another
        self.num_faults = 0
        self.faults: set[Fault] = set()
        self._new_faults: list[str] = []
        self._digest = hashlib.sha256(b"").hexdigest()
        self._folded = 0  # steps, whose batches are in it
        self._digests: dict[int, str] = {}  # after each of the last of them
        self._ids: list[np.ndarray[Any, np.dtype[np.int64]]] = []
        self._last = time.perf_counter()

    @property
    def active(self) -> bool:
        return any(variant.active for variant in self.variants.values())

    @property
    def sound(self) -> list[str]:
        """The keys of variants that may go on from here.

        One that failed may have stopped in the middle of a step: its weights may be half moved.
        """
        sound = [key for key, variant in self.variants.items() if variant.status != "failed"]
        return [rider for key in sound for rider in self.riders(key)]

    @property
    def is_due(self) -> bool:
        """Whether some curve of the cohort, trained here or elsewhere, has a point here."""
        return any(is_due(trial.recipe.budget, self.step_number) for trial in self.cohort.trials)

    def riders(self, key: str) -> list[str]:
        """The trials that the variant `key` trains: itself, and those that are on its trunk."""
        return [key, *(rider for rider, on in self.branches.items() if on.trunk == key)]

    @property
    def samples_seen(self) -> int:
        return self.step_number * self.cohort.recipe.budget.batch

    def prepare(self, columns: Mapping[str, Any], agree: Agree = alone, part: int = 0) -> Batch:
        """A batch to be stepped on, of the columns of this process."""
        return make_batch(columns, self.cohort.recipe, self.device, agree, part)

    def step(self, batch: Batch) -> None:
        """Step every active variant on one batch.

        An error in one variant ends it as failed and leaves the others alone. Where several
        ranks train it, it is raised instead: the others wait for this one in a collective. So is
        that its neighbours leave it no room: all are then trained in parts.
        """
        self._ids.append(batch.ids)
        self._new_faults += batch.faults
        gather = batch.gather()
        self.branch()
        for variant in turns(list(self.variants.values()), self.step_number):
            if not variant.active:
                continue
            try:
                with self.first_steps.measured(variant.trial.name):
                    variant.step(batch.tensors, gather)
            except CohortTooLargeError:
                raise
            except Exception as error:
                variant.fail(error, alone=gather.world == 1)
            # Outside the except clause, whose traceback holds the tensors of the step.
            if variant.status == "failed":
                variant.release()
        self.first_steps.check()
        self.step_number += 1

    def branch(self) -> None:
        """Let trials go on by themselves that leave their trunk here, or whose trunk has ended:
        then they have ended as it did."""
        for key, branch in list(self.branches.items()):
            trunk = self.variants[branch.trunk]
            if self.step_number < branch.step and trunk.status == "running":
                continue
            trunk.clock.settle()
            state = trunk.state_dict()
            # Of the weights loading makes a copy; of all else it keeps what it is given.
            own = {n: v if n == "model" else copy.deepcopy(v) for n, v in state.items()}
            with self.first_steps.room_for(self.trials[key].name):
                self._made(key).load_state_dict(own)
            self.first_steps.again()
            self._own_seconds += self.variants[key].clock.total_seconds

    def _made(self, key: str) -> Variant:
        del self.branches[key]
        self.variants[key] = Variant(self.trials[key], self.device)
        return self.variants[key]

    def check_faults(self) -> None:
        """Raise DataError when more samples are unreadable than the corpus allows."""
        corpus = self.cohort.recipe.corpus
        allowed = max(LEAST_FAULTS, corpus.max_bad_fraction * self.samples_seen)
        if self.num_faults > allowed:
            raise DataError(
                f"{self.num_faults:,} of {self.samples_seen:,} samples of '{corpus.uri}' "
                "cannot be used",
                why=f"at most {corpus.max_bad_fraction:.2%} may; "
                f"some: {'; '.join(str(fault) for fault in sorted(self.faults)[:3])}",
                mend="mend the shards, or allow more with --set corpus.max_bad_fraction=0.05",
            )

    def collect(self) -> list[CurvePoint]:
        """New points of the curves, ranks agreed, and all that is counted brought up to date."""
        points: list[CurvePoint] = []
        for key, variant in self.variants.items():
            point = variant.collect() if variant.is_due else None
            if point is not None:
                metrics = {name: v for name, v in point.items() if name != "samples"}
                seen = int(point["samples"])
                points += [CurvePoint(rider, seen, metrics) for rider in self.riders(key)]
        self.branch()  # those whose trunk has just diverged
        self.settle()
        return points

    def settle(self) -> None:
        """Bring what is counted up to date: the order's hash, the faults and the time."""
        now = time.perf_counter()
        elapsed, self._last = now - self._last, now
        self._fold()
        for variant in self.variants.values():
            variant.clock.settle()
        own = sum(variant.clock.total_seconds for variant in self.variants.values())
        self.seconds += elapsed
        self.shared_seconds += max(0.0, elapsed - (own - self._own_seconds))
        self._own_seconds = own

    def _fold(self) -> None:
        """Take up what all ranks read since the last call: the global batches, and the faults.

        Whoever read which part, the order's hash and the list of faults are the same.
        """
        if not self._ids:
            return
        parts = of_every_rank((np.stack(self._ids), self._new_faults))
        for row in np.concatenate([ids for ids, _ in parts], axis=1):
            self._digest = roll(self._digest, row)
            self._folded += 1
            self._digests[self._folded] = self._digest
        for step in range(min(self._digests), self._folded - KEPT_DIGESTS):
            self._digests.pop(step, None)
        for _, lines in parts:
            self.num_faults += len(lines)
            self.faults |= {Fault.parse(line) for line in lines}
        self._ids, self._new_faults = [], []

    @property
    def order_hash(self) -> str:
        return self._digest

    def order_hash_after(self, step_number: int) -> str:
        """The order's hash after so many steps: of one that has diverged, however much later that
        was noticed. Of the last KEPT_DIGESTS, or else it is that of now."""
        return self._digests.get(step_number, self._digest)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed cohort goes on from, after any step. Called by all ranks together."""
        self.settle()
        return {
            "step_number": self.step_number,
            "seconds": self.seconds,
            "shared_seconds": self.shared_seconds,
            "made_by": self.made_by,
            "num_faults": self.num_faults,
            "faults": [fault.line for fault in sorted(self.faults)],
            "order_hash": self._digest,
            # Of a trial on its trunk what it would have alone: it may go on without the other.
            "variants": {
                rider: state | {"shared_seconds": self.shared_seconds}
                for key, state in [(k, v.state_dict()) for k, v in self.variants.items()]
                for rider in self.riders(key)
            },
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`: of the same variants, or of more, which are left out."""
        self.step_number = state["step_number"]
        self.made_by = list(state["made_by"])
        self.num_faults = state["num_faults"]
        self.faults = {Fault.parse(line) for line in state["faults"]}
        self._digest, self._folded, self._digests = state["order_hash"], self.step_number, {}
        self.seconds = state["seconds"]
        # Of the worker that trained them: each has time of its own beside its variants'. An older
        # version kept that of one.
        mine = [state["variants"].get(key, {}).get("shared_seconds") for key in self.trials]
        told = [seconds for seconds in mine if seconds is not None]
        self.shared_seconds = max(told, default=state["shared_seconds"])
        for key, branch in list(self.branches.items()):
            status = state["variants"][branch.trunk]["status"]
            if self.step_number > branch.step or status != "running":
                self._made(key)
        for key, variant in self.variants.items():
            variant.load_state_dict(state["variants"][key])
        self._own_seconds = sum(v.clock.total_seconds for v in self.variants.values())


def turns(variants: list[Variant], step_number: int) -> list[Variant]:
    """In which order variants step: each is first as often as the others.

    Who comes first finds the batch cold, and what follows in the caches of the one before; they
    have nothing else in common, so that the order changes no number.
    """
    first = step_number % max(1, len(variants))  # a worker of a mesh may have none
    return variants[first:] + variants[:first]


def roll(digest: str, ids: np.ndarray[Any, np.dtype[np.int64]]) -> str:
    """The order's hash after one more global batch: equal hashes prove equal batches."""
    return hashlib.sha256(digest.encode() + ids.astype("<i8").tobytes()).hexdigest()
