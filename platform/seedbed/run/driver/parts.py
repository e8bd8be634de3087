"""Cohorts that do not fit their devices, trained in parts one after another.

The parts read the same batches in the same order, and a cohort of any size gives each variant the
same numbers: only the stream is read once more for each part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from seedbed.cluster.layout import Layout
from seedbed.errors import (
    OUT_OF_MEMORY,
    OWN_ERROR,
    CohortTooLargeError,
    Reason,
    reason_of,
)
from seedbed.failure import said
from seedbed.plan.cohort import Cohort
from seedbed.plan.ladder import grouped, ladders_of
from seedbed.run.driver.failures import FAILURE
from seedbed.run.driver.resume import Start
from seedbed.run.worker.assignment import Assignment
from seedbed.run.worker.checkpoint import checkpoints_of
from seedbed.run.worker.rehearse import Rehearsal
from seedbed.storage.folder import Folder
from seedbed.study.trial import Trial

OF_ONE = frozenset({OUT_OF_MEMORY, OWN_ERROR})  # of a trial's own, whoever it has ended with it


def fitted(chosen: Sequence[Start], layout: Layout) -> tuple[list[Start], str]:
    """`chosen` with its cohorts cut to what the layout's devices hold, and that in words."""
    num_shares = layout.num_workers // layout.data_parallel
    if not layout.variants:
        return list(chosen), ""
    most = {s.cohort.id: most_of(s.cohort, layout.variants, num_shares) for s in chosen}
    if all(len(start.cohort.trials) <= most[start.cohort.id] for start in chosen):
        return list(chosen), ""
    found = [
        replace(start, cohort=part)
        for start in chosen
        for part in cut(start.cohort, most[start.cohort.id])
    ]
    words = (
        f"; {len(chosen)} cohorts are trained as {len(found)}, since {layout.variants} variants "
        f"fit a GPU side by side, and a cohort has {num_shares} for as many each"
    )
    return found, words


def most_of(cohort: Cohort, fitting: int, num_shares: int) -> int:
    """Of how many trials a part of `cohort` may be, where `fitting` variants fit each of
    `num_shares` workers: a ladder is on one of them, and one that does not fit is cut."""
    return fitting * num_shares if _longest(cohort) <= fitting else fitting


def _longest(cohort: Cohort) -> int:
    return max(len(ladder) for ladder in ladders_of(cohort.trials))


class Met(Protocol):
    """What a study's cohorts have met: which variants do not fit their devices together."""

    def too_large(self, cells: tuple[str, ...]) -> CohortTooLargeError | None: ...

    def tell_too_large(self, cells: tuple[str, ...], error: CohortTooLargeError) -> None: ...


def in_parts(
    job: Assignment | Rehearsal,
    complete: Callable[[Assignment | Rehearsal], Reason],
    give_up: Callable[[], str],
    met: Met,
    layout: Layout,
    store: Folder,
) -> Iterator[dict[str, Reason]]:
    """Why `complete` could not complete trials of `job`, by their keys: none where it could.

    Where its workers meet that they are given too much at a time it is cut, and so are the study's
    later cohorts of the same variants, as `met` knows. Where one trial may have
    ended its neighbours each goes on apart. `give_up` makes way for other workers, and says what
    the run of those before was called.
    """
    num_shares = layout.num_workers // layout.data_parallel
    cells = tuple(sorted(repr(trial.cell) for trial in job.cohort.trials))
    waiting = [job]
    known = met.too_large(cells)
    if known is not None:
        waiting = parts_of(job, known, num_shares)
    while waiting:
        part = waiting.pop(0)
        if part is not job and all(
            store.exists("trials", trial.key, "record.json") for trial in part.cohort.trials
        ):
            continue
        try:
            reason = complete(part)
        except CohortTooLargeError as error:
            before = give_up()
            parts = [_from(one, store, before) for one in parts_of(part, error, num_shares)]
            if not parts:
                yield _reasons(part, part.cohort.trials, reason_of(error))
                continue
            if part is job:
                met.tell_too_large(cells, error)
            waiting = parts + waiting
        else:
            left = [trial for trial in part.cohort.trials if not _has_ended(store, trial.key)]
            if reason and reason.failure in OF_ONE and len(left) > 1:
                before = give_up()
                waiting = [_alone(part, trial, store, before, reason) for trial in left] + waiting
            elif reason:
                yield _reasons(part, left, reason)
                give_up()


def _reasons(
    part: Assignment | Rehearsal, trials: Sequence[Trial], reason: Reason
) -> dict[str, Reason]:
    """`reason` for each of `trials`, with all attempts at it so far."""
    return {
        trial.key: Reason(reason, reason.failure, _attempts(part, trial, reason))
        for trial in trials
    }


def _attempts(part: Assignment | Rehearsal, trial: Trial, reason: Reason) -> int:
    return part.attempts.get(trial.key, 0) + reason.attempts


def _has_ended(store: Folder, key: str) -> bool:
    return any(store.exists("trials", key, name) for name in ("record.json", FAILURE))


def _alone(
    job: Assignment | Rehearsal, trial: Trial, store: Folder, run: str, reason: Reason
) -> Assignment | Rehearsal:
    """`trial` of `job` without its neighbours, from the last checkpoint that `run` left of it."""
    part = replace(
        job,
        cohort=Cohort((trial,)),
        costs={trial.key: job.costs[trial.key]},
        attempts={trial.key: _attempts(job, trial, reason)},
    )
    if isinstance(part, Rehearsal):
        return part
    found = [kept for kept, _ in checkpoints_of(store, run) if trial.key in kept.keys]
    note = f"{said(reason.failure)} ended a cohort: each of its trials goes on apart"
    return replace(
        part,
        note=note,
        layout=f"{part.layout}; {note}",
        kept=max(found, key=lambda kept: kept.step_number, default=part.kept),
        assets={asset.name: part.assets[asset.name] for asset in part.cohort.assets},
    )


def _from(part: Assignment | Rehearsal, store: Folder, run: str) -> Assignment | Rehearsal:
    """`part` from the last checkpoint that `run` left of all its trials."""
    if isinstance(part, Rehearsal):
        return part
    keys = {trial.key for trial in part.cohort.trials}
    found = [kept for kept, _ in checkpoints_of(store, run) if keys <= set(kept.keys)]
    found += [part.kept] if part.kept is not None else []
    return replace(part, kept=max(found, key=lambda kept: kept.step_number, default=None))


def parts_of(
    job: Assignment | Rehearsal, error: CohortTooLargeError, num_shares: int
) -> list[Assignment | Rehearsal]:
    """`job` in parts that fit, where its workers have met that it does not.

    None where there is nothing to be cut: each worker has one variant already.
    """
    count = len(job.cohort.trials)
    apart = num_shares if _longest(job.cohort) == 1 else 1
    if count <= apart or not isinstance(job, Assignment):
        return []
    most = min(most_of(job.cohort, max(1, error.fitting), num_shares), count - 1)
    parts = cut(job.cohort, most)
    note = f"{error.what}: it is trained in {len(parts)} parts ({error.why})"
    return [
        replace(
            job,
            cohort=part,
            note=note,
            layout=f"{job.layout}; {note}",
            costs={trial.key: job.costs[trial.key] for trial in part.trials},
            assets={asset.name: job.assets[asset.name] for asset in part.assets},
        )
        for part in parts
    ]


def cut(cohort: Cohort, most: int) -> list[Cohort]:
    """`cohort` in as few parts of at most `most` trials as can be, about as many in each.

    Trials that share a trunk stay together where they fit.
    """
    return [Cohort(part) for part in grouped(cohort.trials, most)]
