"""What variants hold in a GPU's memory whatever else they do: the least that they need there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seedbed.plan.cost import Cost, estimate
from seedbed.study.trial import Trial

# In fp32: the weight, its gradient (kept from step to step), and Adam's two moments.
WEIGHT_BYTES = 4
STATE_BYTES = 4 * WEIGHT_BYTES
ID_BYTES = 4  # of a token


@dataclass(frozen=True)
class Held:
    """Bytes of variants that train on one GPU: what each keeps, and the rows of a batch.

    Activations come on top. How many depends on kernels, precision and compilation: they are
    measured where they are, in the first steps.
    """

    states: tuple[int, ...]
    row: int

    def total(self, rows: int) -> int:
        return sum(self.states) + rows * self.row


def held_by(trials: Sequence[Trial]) -> Held:
    """Of `trials`, which read the same batches."""
    views = {view for trial in trials for view in trial.recipe.objective.views}
    recipe = trials[0].recipe
    image = recipe.image.size**2 * 3
    text = recipe.text.context * ID_BYTES
    return Held(
        tuple(_state_bytes(estimate(trial.recipe)) for trial in trials),
        sum(image if view.modality == "image" else text for view in views),
    )


def _state_bytes(cost: Cost) -> int:
    """Of a variant: a frozen parameter has neither gradient nor moments."""
    return STATE_BYTES * (cost.num_params - cost.num_frozen) + WEIGHT_BYTES * cost.num_frozen
