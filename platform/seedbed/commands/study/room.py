"""What a plan needs of memory, storage and the corpus, in the lines that say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seedbed.cluster.cards import CARDS, USABLE, Room
from seedbed.cluster.layout import CORES_A_GPU, checkpoint_bytes
from seedbed.commands.study.amounts import size
from seedbed.plan.weights import weights_line

if TYPE_CHECKING:
    from seedbed.cluster.asked import Asked
    from seedbed.data.peek import Peeked
    from seedbed.evaluate.prompted import OpenTest
    from seedbed.plan.plan import Plan

ANY_NUMBER = 1_000_000  # of GPUs, where no limit is stated
GPUS_A_NODE = 8  # at most, where no number is stated


@dataclass(frozen=True)
class Fit:
    """How many GPUs train a variant together, how many variants share one, and the arithmetic."""

    parts: int
    beside: int
    why: str

    @property
    def words(self) -> str:
        each = f"{self.parts} GPU{'s' * (self.parts > 1)} to a variant"
        return f"{each}, up to {self.beside} side by side: {self.why}"


def fit_of(plan: Plan, asked: Asked) -> Fit | None:
    """On GPUs of the kind that is asked for; None where none is, or its memory is not known.

    Raises ResourceError, with the arithmetic, where a variant fits none.
    """
    from seedbed.cluster.memory import parts_for, variants_for

    card = CARDS.get(asked.accelerator)
    if asked.device_memory:
        room = Room(asked.device_memory, asked.device_memory, "as --device-memory says")
    elif card is not None:
        least = f"{asked.accelerator} of {card.least} GB x {USABLE:g}"
        room = Room(USABLE * card.least_bytes, card.most_bytes, least)
    else:
        return None
    parts = parts_for(plan.cohorts, room, asked.max_gpus or ANY_NUMBER, asked.workers)
    number = asked.data_parallel or parts.number
    return Fit(number, variants_for(plan.cohorts, room, number), parts.why)


def held_words(plan: Plan) -> str:
    """What the variants of a cohort keep, whatever they train on."""
    from seedbed.plan.memory import held_by

    held = max((held_by(cohort.trials) for cohort in plan.cohorts), key=lambda h: sum(h.states))
    return (
        f"{size(sum(held.states))} of weights, gradients and moments in the largest cohort "
        f"({len(held.states)} variants); activations come on top (--accelerator counts them for "
        "its GPUs)"
    )


def store_lines(plan: Plan, asked: Asked, fit: Fit | None) -> list[str]:
    """Of Ray's object store, on the GPUs or with the data tasks that are asked for, if any are."""
    from seedbed.cluster.store import streams_of

    if fit is None and not asked.data_cpus:
        return []
    workers = max(asked.least_workers, fit.parts if fit is not None else 1)
    beside = min(workers, asked.gpus_per_node or GPUS_A_NODE)
    tasks = asked.data_cpus or CORES_A_GPU
    worst = max(streams_of(plan.cohorts, workers), key=lambda stream: stream.bytes(tasks))
    return [
        f"store   up to {size(beside * worst.bytes(tasks))} of Ray's object store on a node: "
        f"{beside} worker{'s' * (beside != 1)} x ({worst.words(tasks)}); where it has less, fewer "
        "tasks run"
    ]


def storage_words(
    plan: Plan, keep: bool, counted: Sequence[OpenTest] = (), others: Sequence[str] = ()
) -> str:
    """Beside the records: final weights, checkpoints while it runs, and the pictures of test sets,
    which workers map from there: of those that are `counted`, and of `others`."""
    from seedbed.run.driver.preflight import kept_bytes

    said = f"{weights_line(plan, keep)}; {size(checkpoint_bytes(plan))} for each checkpoint"
    if counted:
        names = ", ".join(one.test_set.name for one in counted)
        said += f"; {size(kept_bytes(plan, {}, counted))} of pictures of {names}"
    if others:
        said += f"; the pictures of {', '.join(others)}, which are not counted yet"
    return said


def read_lines(plan: Plan, peeked: Sequence[Peeked]) -> list[str]:
    """A line for each address of which it is known how large its pairs are."""
    groups = {one.corpus: one.group_rows for one in peeked}
    pairs: dict[str, int] = {}
    read: dict[str, float] = {}  # as pairs: of whole groups, more than once
    for cohort in plan.cohorts:
        corpus = cohort.recipe.corpus
        times = corpus.times_read(groups.get(corpus, 0.0))
        pairs[corpus.uri] = pairs.get(corpus.uri, 0) + cohort.samples
        read[corpus.uri] = read.get(corpus.uri, 0.0) + cohort.samples * times
    each = {one.corpus.uri: one.pair_bytes for one in peeked if one.pair_bytes}
    return [
        f"reads   {size(read[uri] * own)} of {uri}: {pairs[uri]:,} pairs of {size(own)}"
        + (f", {read[uri] / pairs[uri]:.2g} times each" if read[uri] > pairs[uri] else "")
        for uri, own in each.items()
        if uri in pairs
    ]
