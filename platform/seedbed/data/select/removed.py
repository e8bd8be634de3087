"""How many pairs each step of a selection removed, as metrics of the trials that read the rest."""

from __future__ import annotations

from seedbed.data.select.selection import Selection
from seedbed.metric import Metric

COPIES_STEP = "held_out_copies"  # training pairs with a held-out picture, removed first


def removed(number: int, step: str) -> Metric:
    """What the step `step`, the `number`-th from 1, removed.

    Named by the step's rule alone: its settings are in the recipe.
    """
    rule = step.partition("(")[0].partition("=")[0]
    label = f"Pairs removed by {rule} (step {number})"
    return Metric(f"data/removed/{number}_{rule}", label, "count")


def removed_by(selection: Selection) -> tuple[Metric, ...]:
    """What trials on `selection` may record: its steps, from 1, or from 2 after held-out copies."""
    first = [removed(number, step) for number, step in enumerate(selection.step_names, 1)]
    later = [removed(number, step) for number, step in enumerate(selection.step_names, 2)]
    return (removed(1, COPIES_STEP), *first, *later)
