"""What a plan needs of memory, storage and the corpus, in the lines that say it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from seedbed.cluster.cards import CARDS, USABLE, Room
from seedbed.cluster.layout import checkpoint_bytes
from seedbed.commands.study.amounts import size
from seedbed.plan.weights import weights_line

if TYPE_CHECKING:
    from seedbed.cluster.asked import Asked
    from seedbed.data.peek import Peeked
    from seedbed.plan.plan import Plan


def memory_words(plan: Plan, asked: Asked) -> str:
    """Of the GPU that is asked for, by the whole arithmetic; else what variants keep."""
    from seedbed.cluster.memory import gigabytes, parts_for, variants_for
    from seedbed.plan.memory import held_by

    cohorts = plan.cohorts
    card = CARDS.get(asked.accelerator)
    if card is None and not asked.device_memory:
        held = max((held_by(cohort.trials) for cohort in cohorts), key=lambda h: sum(h.states))
        return (
            f"{size(sum(held.states))} of weights, gradients and moments in the largest "
            f"cohort ({len(held.states)} variants); activations come on top (--accelerator "
            "counts them for its GPUs)"
        )
    room = Room(asked.device_memory, asked.device_memory, "as --device-memory says")
    if not asked.device_memory and card is not None:
        least = f"{asked.accelerator} of {card.least} GB x {USABLE:g}"
        room = Room(USABLE * card.least_bytes, card.most_bytes, least)
    parts = parts_for(cohorts, room, asked.max_gpus or 1_000_000, asked.workers)
    number = asked.data_parallel or parts.number
    beside = variants_for(cohorts, room, number)
    each = f"{number} GPU{'s' * (number > 1)} to a variant, up to {beside} side by side"
    return f"{each}: {parts.why}; {gigabytes(room.most)} on the largest"


def storage_words(plan: Plan, keep: bool) -> str:
    return f"{weights_line(plan, keep)}; {size(checkpoint_bytes(plan))} for each checkpoint"


def read_lines(plan: Plan, peeked: Sequence[Peeked]) -> list[str]:
    """A line for each corpus of which it is known how large its pairs are."""
    pairs: dict[Any, int] = {}
    for cohort in plan.cohorts:
        pairs[cohort.recipe.corpus] = pairs.get(cohort.recipe.corpus, 0) + cohort.samples
    return [
        f"reads   {size(pairs[one.corpus] * one.pair_bytes)} of {one.corpus.uri}: "
        f"{pairs[one.corpus]:,} pairs of {size(one.pair_bytes)}"
        for one in peeked
        if one.pair_bytes and one.corpus in pairs
    ]
