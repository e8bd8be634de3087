"""The held-out pairs of a cohort: read before anything trains, and the same for every worker."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seedbed.data.fault import Fault
from seedbed.data.render.kept import kept, kept_test_set
from seedbed.data.render.render import TestSet
from seedbed.errors import DataError
from seedbed.evaluate.prompted import Prompted
from seedbed.evaluate.task import Own, Pairs, Task
from seedbed.evaluate.tasks import all_tasks
from seedbed.plan.rendering import rendering_of
from seedbed.run.worker.cohort import LEAST_FAULTS
from seedbed.storage.folder import Folder

if TYPE_CHECKING:
    from seedbed.run.worker.assignment import Assignment

LEAST_ONE_IN = 10  # as many as LEAST_FAULTS are let pass, but of a small test set not a tenth


@dataclass(frozen=True)
class HeldOutPairs:
    """This rank's part of the pairs, and what is known of all of them.

    `asked` are the tasks, each with what it made of this rank's part of them, or of its own
    pictures. `faults` are the pairs that
    cannot be used, of all ranks in one order. `digest` tells the pictures and names that were
    scored from others.
    """

    asked: tuple[tuple[Task[Any], Any], ...]
    faults: tuple[Fault, ...]
    digest: str


def read_held_out(assignment: Assignment, rank: int, world: int) -> HeldOutPairs:
    """The held-out pairs of `assignment`, of which this rank scores every `world`-th, and so of the
    pictures that its tasks bring.

    Made by the first who asks, of whatever cohort, and kept with the results for all others. Raises
    DataError, on every rank, where more cannot be used than the corpus allows.
    """
    corpus = assignment.corpus
    rendering = rendering_of(assignment.cohort)
    alone = _Alone(assignment)
    test = kept_test_set(Folder(assignment.storage), corpus.test, rendering, rank, world, alone)
    faults = tuple(sorted(test.faults))
    pairs = sorted(zip(test.ids.tolist(), test.captions, strict=True))
    _check(assignment, len(pairs), faults)
    digest = hashlib.sha256(f"{corpus.test.fingerprint}/{pairs!r}".encode()).hexdigest()
    recipe = assignment.cohort.recipe
    taken = recipe.augment.test, recipe.image.size
    tasks: list[Task[Any]] = [*all_tasks(), *(Prompted(t, *taken) for t in assignment.tests)]

    def mine(scored: TestSet) -> Pairs:
        part, names = scored.part(rank, world), tuple(sorted(set(scored.captions)))
        return Pairs(part.images, part.captions, part.ids, names, rendering.context)

    held_out, asked = mine(test), []  # the same for all: they share a pass over its pictures
    for task in tasks:
        own = task.own
        given = held_out if own is None else mine(_kept(assignment, own, rank, world, alone))
        asked.append((task, task.prepare(given)))
    return HeldOutPairs(tuple(asked), faults, digest)


def _kept(assignment: Assignment, own: Own, rank: int, world: int, alone: _Alone) -> TestSet:
    """A task's own pictures, which are kept as the held-out pairs are."""
    return kept(Folder(assignment.storage), own.mark, own.size, own.render, rank, world, alone)


class _Alone:
    """Keeps other cohorts of the study from making what this one makes."""

    def __init__(self, assignment: Assignment) -> None:
        self._turns, self._cohort = assignment.turns, assignment.cohort.id

    @contextmanager
    def __call__(self, thing: str) -> Iterator[None]:
        if self._turns is None:
            yield
            return
        import ray

        ray.get(self._turns.take.remote(thing, self._cohort))
        try:
            yield
        finally:
            ray.get(self._turns.leave.remote(thing, self._cohort))


def _check(assignment: Assignment, num_sound: int, faults: Sequence[Fault]) -> None:
    corpus = assignment.corpus.corpus
    num_pairs = num_sound + len(faults)
    allowed = max(min(LEAST_FAULTS, num_pairs // LEAST_ONE_IN), corpus.max_bad_fraction * num_pairs)
    if len(faults) > allowed or not num_sound:
        raise DataError(
            f"{len(faults):,} of the {num_pairs:,} held-out pairs of "
            f"'{corpus.test_uri or corpus.uri}' cannot be used",
            why=f"at most {corpus.max_bad_fraction:.2%} may; "
            f"some: {'; '.join(str(fault) for fault in faults[:3])}",
            mend="mend the shards, or allow more with --set corpus.max_bad_fraction=0.05",
        )
