"""Cohorts that do not fit their devices, trained in parts one after another.

The parts read the same batches in the same order, and a cohort of any size gives each variant the
same numbers: only the stream is read once more for each part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import ray

from seedbed.cluster.layout import Layout
from seedbed.errors import CohortTooLargeError, reason_of
from seedbed.plan.plan import Cohort
from seedbed.run.driver.resume import Start
from seedbed.run.worker.assignment import Assignment
from seedbed.run.worker.rehearse import Rehearsal
from seedbed.storage.folder import Folder


def fitted(chosen: Sequence[Start], layout: Layout) -> tuple[list[Start], str]:
    """`chosen` with its cohorts cut to what the layout's devices hold, and that in words."""
    most = layout.variants * layout.num_workers // layout.data_parallel
    if not most or all(len(start.cohort.trials) <= most for start in chosen):
        return list(chosen), ""
    found = [replace(start, cohort=part) for start in chosen for part in cut(start.cohort, most)]
    words = (
        f"; {len(chosen)} cohorts are trained as {len(found)}, since {layout.variants} variants "
        f"fit a GPU side by side, and a cohort has {most // layout.variants} for as many each"
    )
    return found, words


def in_parts(
    job: Assignment | Rehearsal,
    complete: Callable[[Assignment | Rehearsal], str],
    give_up: Callable[[], None],
    reasons: Any,
    layout: Layout,
    store: Folder,
) -> Iterator[str]:
    """Why `complete` could not complete `job`, or parts of it: nothing where it could.

    Where its workers meet that they are given too much at a time it is cut, and so are the study's
    later cohorts of the same variants, as `reasons` (an actor) knows. `give_up` makes way for other
    workers.
    """
    num_shares = layout.num_workers // layout.data_parallel
    cells = tuple(sorted(repr(trial.cell) for trial in job.cohort.trials))
    waiting = [job]
    known = ray.get(reasons.too_large.remote(cells))
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
            give_up()
            parts = parts_of(part, error, num_shares)
            if not parts:
                yield reason_of(error)
                continue
            if part is job:
                ray.get(reasons.tell_too_large.remote(cells, error))
            waiting = parts + waiting
        else:
            if reason:
                yield reason


def parts_of(
    job: Assignment | Rehearsal, error: CohortTooLargeError, num_shares: int
) -> list[Assignment | Rehearsal]:
    """`job` in parts that fit, where its workers have met that it does not.

    None where there is nothing to be cut: each worker has one variant already.
    """
    count = len(job.cohort.trials)
    if count <= num_shares or not isinstance(job, Assignment):
        return []
    most = min(max(1, error.fitting) * num_shares, count - 1)
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
    """`cohort` in as few parts of at most `most` trials as can be, about as many in each."""
    num_parts = -(-len(cohort.trials) // most)
    return [Cohort(cohort.trials[part::num_parts]) for part in range(num_parts)]
