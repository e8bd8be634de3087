"""Whether variants fit their GPUs, by the arithmetic: how many GPUs train one, how many share one.

What a step keeps for its backward pass is counted beforehand, the rest of what it needs is not: so
the first steps are measured where they are made (`run/worker/memory.py`), and have the last word.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from seedbed.cluster.cards import CARDS, GB, USABLE, Room
from seedbed.errors import CohortTooLargeError, TooLargeError
from seedbed.plan.cohort import Cohort
from seedbed.plan.memory import STATE_BYTES, Need, held_by, need_of
from seedbed.study.trial import Trial


@dataclass(frozen=True)
class Parts:
    """Into how many parts each batch of a variant is cut, one for each GPU, and why so many."""

    number: int
    why: str


def parts_for(cohorts: Sequence[Cohort], room: Room, num_gpus: int, workers: int = 0) -> Parts:
    """The fewest GPUs to a variant on which the largest fits at its batch.

    Raises ResourceError with the arithmetic where it fits none of what the cluster can have. A
    compiled one may need less than is counted: it is given all it can have, and tried.
    """
    trials = _different(cohorts)
    lanes = math.gcd(*(trial.recipe.corpus.lanes for trial in trials))
    allowed = [n for n in _divisors(lanes) if n <= num_gpus and not workers % n] or [1]
    fewer = ""
    for number in allowed:
        worst = max((need_of(trial, number) for trial in trials), key=lambda need: need.total)
        if worst.total <= room.sure:
            said = f"{_words(worst)} of {gigabytes(room.sure)} ({room.words})"
            return Parts(number, f"{said}{fewer}")
        fewer = f"; with {number} {gigabytes(worst.total)}"
    if worst.trial.recipe.compile:
        return Parts(number, f"{_words(worst)} if it were not compiled, and there are no more GPUs")
    raise TooLargeError(
        f"'{worst.trial.name}' needs about {gigabytes(worst.total)} of a GPU, and there are "
        f"{gigabytes(room.sure)} ({room.words})",
        why=f"{_words(worst)}, with {number} of {num_gpus} GPUs to a variant",
        mend=_mend(worst, room, number, [n for n in _divisors(lanes) if n > number]),
    )


def variants_for(cohorts: Sequence[Cohort], room: Room, data_parallel: int) -> int:
    """How many variants surely fit one GPU side by side: one or more, each as the largest of all.

    Each keeps weights and moments; the batch is there once, and they step in turn.
    """
    needs = [need_of(trial, data_parallel) for trial in _different(cohorts)]
    kept = max(need.kept for need in needs)
    passing = max(need.state - need.kept + need.activations for need in needs)
    batch = max(c.recipe.budget.batch * held_by(c.trials).row for c in cohorts) // data_parallel
    return max(1, int((room.sure - passing - batch) // kept))


def check_gpus(
    cohorts: Sequence[Cohort], gpu_bytes: float, *, num_shares: int = 1, data_parallel: int = 1
) -> None:
    """Raise ResourceError where a cohort cannot fit its GPUs, however little a step may need.

    `num_shares` groups of `data_parallel` GPUs train some of its variants each.
    """
    for cohort in cohorts:
        rows = cohort.recipe.budget.batch // data_parallel
        for trial in cohort.trials:
            check_alone(trial, rows, gpu_bytes, data_parallel)
        held = held_by(cohort.trials, data_parallel)
        passing = rows * held.row + held.gradients
        # However they are split: no share is smaller than an equal one.
        least = sum(held.kept) / num_shares + passing
        if least > gpu_bytes:
            fitting = max(1, int((gpu_bytes - passing) // max(held.kept)))
            count = len(cohort.trials)
            raise CohortTooLargeError(
                f"{count} variants need at least {gigabytes(least)} of each of {num_shares} GPUs, "
                f"and the largest has {gigabytes(gpu_bytes)}",
                why=f"{gigabytes(sum(held.kept))} of weights and Adam's moments / {num_shares} + "
                f"{gigabytes(passing)} of a batch and of one's gradients, and activations come "
                "on top",
                mend=f"--cohort-size {fitting * num_shares}, or more --workers",
                fitting=fitting,
            )


def check_step(trial: Trial, gpu_bytes: float, data_parallel: int = 1) -> None:
    """Raise TooLargeError where a step of `trial`, as far as it is counted, needs more than a GPU
    of `gpu_bytes` has. A compiled one may need less, and is tried."""
    need = need_of(trial, data_parallel)
    if trial.recipe.compile or need.total <= gpu_bytes:
        return
    room = Room(USABLE * gpu_bytes, gpu_bytes, "what it is")
    more = [n for n in _divisors(trial.recipe.corpus.lanes) if n > data_parallel]
    raise TooLargeError(
        f"'{trial.name}' needs about {gigabytes(need.total)} of a GPU, and this one has "
        f"{gigabytes(gpu_bytes)}",
        why=f"{_words(need)}, with {data_parallel} to a variant",
        mend=_mend(need, room, data_parallel, more),
    )


def check_alone(trial: Trial, rows: int, gpu_bytes: float, data_parallel: int = 1) -> None:
    """Raise ResourceError where one variant surely does not fit, with `rows` of every batch."""
    held = held_by([trial])
    if held.total(rows) <= gpu_bytes:
        return
    (state,) = held.states
    mend = f"take GPUs of more than {gigabytes(held.total(rows))}, or a smaller model"
    room = (gpu_bytes - state) // held.row  # rows
    parts = [n for n in _divisors(trial.recipe.corpus.lanes) if rows * data_parallel <= n * room]
    if parts:
        mend = f"--data-parallel {parts[0]}"
    raise TooLargeError(
        f"'{trial.name}' needs at least {gigabytes(held.total(rows))} of a GPU, and the largest "
        f"has {gigabytes(gpu_bytes)}",
        why=f"{state // STATE_BYTES / 1e6:,.0f} M parameters x {STATE_BYTES} bytes (weight, "
        f"gradient, Adam's moments) = {gigabytes(state)}, and {rows:,} rows of a batch x "
        f"{held.row / 1e3:,.0f} kB = {gigabytes(rows * held.row)}, and activations come on top",
        mend=mend,
    )


def would_fit(trial: Trial, gpu_bytes: float, data_parallel: int = 1) -> str:
    """What would fit a GPU of so many bytes, in words, where a step of `trial` has not.

    A step takes more than is counted: what would fit is counted at the same share of it.
    """
    need = need_of(trial, data_parallel)
    sure = USABLE * min(gpu_bytes, need.total)
    lanes = trial.recipe.corpus.lanes
    more = [n for n in _divisors(lanes) if n > data_parallel]
    return _mend(need, Room(sure, sure, "what it ran out of"), data_parallel, more)


def gigabytes(num_bytes: float) -> str:
    """`1.5 GB`."""
    return f"{num_bytes / GB:,.1f} GB"


def _words(need: Need) -> str:
    """The sum, by its parts."""
    step = need.step
    return (
        f"'{need.trial.name}' takes {gigabytes(need.state)} of weights, gradients and Adam's "
        f"moments + {gigabytes(need.batch)} of {need.rows:,} rows + {need.passing:,} rows at a "
        f"time x {step.row / 1e6:,.1f} MB of activations + {gigabytes(step.fixed)} "
        f"= {gigabytes(need.total)}"
    )


def _mend(need: Need, room: Room, number: int, more: Sequence[int]) -> str:
    """The nearest that would fit: rows at a time, a batch, more GPUs, a larger card."""
    recipe, step = need.trial.recipe, need.step
    ways = []
    left = room.sure - need.state - step.fixed
    if step.splits and (passing := int((left - need.batch) // step.row)) > 0:
        ways.append(f"--set micro_batch={passing} (the same losses, and some more time)")
    lanes, window = recipe.corpus.lanes, recipe.corpus.window_rows
    most = max(0, int(left // (step.row + need.held_row))) * number // lanes
    if rows := max((n for n in range(1, min(most, window) + 1) if not window % n), default=0):
        ways.append(f"--set budget.batch={rows * lanes} (another recipe)")
    for parts in more:
        if need_of(need.trial, parts).total <= room.sure:
            ways.append(f"{parts} GPUs and --data-parallel {parts}")
            break
    cards = [(c.least, name) for name, c in CARDS.items() if USABLE * c.least_bytes >= need.total]
    if cards:
        least, name = min(cards)
        ways.append(f"GPUs of {least} GB, such as {name}")
    return ", or ".join(ways) or "a smaller model"


def _different(cohorts: Sequence[Cohort]) -> list[Trial]:
    """A trial of each kind that needs other memory: seeds need the same."""
    found = {}
    for cohort in cohorts:
        for trial in cohort.trials:
            of = trial.recipe
            found[
                of.image, of.text, of.objective, of.embed_dim, of.precision, of.budget.batch,
                of.micro_batch, of.compile, of.corpus.lanes, of.freeze,
            ] = trial  # fmt: skip
    return list(found.values())


def _divisors(number: int) -> list[int]:
    return [n for n in range(1, number + 1) if number % n == 0]
