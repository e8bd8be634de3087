"""What variants need of a GPU's memory: what they hold there, and what a step needs for a while."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from seedbed.data.views import Modality
from seedbed.model.objective import Objective
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower
from seedbed.plan.cost import Cost, estimate
from seedbed.recipe.recipe import Recipe
from seedbed.study.trial import Trial

# In fp32: the weight, its gradient, and Adam's two moments. Of a variant that waits for its turn no
# gradients are kept, but where several GPUs train it: they add them up in buckets that stay.
WEIGHT_BYTES = 4
STATE_BYTES = 4 * WEIGHT_BYTES
KEPT_BYTES = 3 * WEIGHT_BYTES
ID_BYTES = 4  # of a token


@dataclass(frozen=True)
class Held:
    """Bytes of variants that train on one GPU: of each while it steps and while it waits, and the
    rows of a batch.

    Activations come on top, for a while.
    """

    states: tuple[int, ...]
    kept: tuple[int, ...]
    row: int

    @property
    def gradients(self) -> int:
        """Of the one that steps, where these are given back after each step."""
        return max(state - kept for state, kept in zip(self.states, self.kept, strict=True))

    def total(self, rows: int) -> int:
        return sum(self.kept) + self.gradients + rows * self.row


@dataclass(frozen=True)
class Step:
    """Bytes that the towers keep of a forward pass for its backward one: of each row, and whatever
    the rows (weights in half precision). `splits`: rows may pass a few at a time."""

    row: int
    fixed: int
    splits: bool


@dataclass(frozen=True)
class Need:
    """Bytes of one variant alone on its GPU, with `rows` of every batch, `passing` at a time."""

    trial: Trial
    rows: int
    passing: int
    state: int
    kept: int
    held_row: int
    step: Step

    @property
    def batch(self) -> int:
        return self.rows * self.held_row

    @property
    def activations(self) -> int:
        return self.step.fixed + self.passing * self.step.row

    @property
    def total(self) -> int:
        return self.state + self.batch + self.activations


def held_by(trials: Sequence[Trial], data_parallel: int = 1) -> Held:
    """Of `trials`, which read the same batches, each trained by `data_parallel` GPUs."""
    views = {view for trial in trials for view in trial.recipe.objective.views}
    recipe = trials[0].recipe
    image = recipe.image.size**2 * 3
    text = recipe.text.context * ID_BYTES
    costs = [estimate(trial.recipe) for trial in trials]
    kept = KEPT_BYTES if data_parallel == 1 else STATE_BYTES
    return Held(
        tuple(_state_bytes(cost, STATE_BYTES) for cost in costs),
        tuple(_state_bytes(cost, kept) for cost in costs),
        sum(image if view.modality == "image" else text for view in views),
    )


def _state_bytes(cost: Cost, each: int) -> int:
    """Of a variant: a frozen parameter has neither gradient nor moments."""
    return each * (cost.num_params - cost.num_frozen) + WEIGHT_BYTES * cost.num_frozen


def need_of(trial: Trial, data_parallel: int = 1) -> Need:
    """Of a variant that `data_parallel` GPUs train together."""
    recipe = trial.recipe
    rows = recipe.budget.batch // data_parallel
    held = held_by([trial], data_parallel)
    passing = min(recipe.micro_batch or rows, rows)
    return Need(trial, rows, passing, held.states[0], held.kept[0], held.row, step_of(recipe))


def step_of(recipe: Recipe) -> Step:
    """Of `recipe`'s towers and projections, run eagerly.

    Counted by torch on tensors without memory: what autograd would save is handed to us. Losses
    come on top; compiled towers save less.
    """
    half = recipe.precision == "bf16"
    parts = recipe.image, recipe.text, recipe.objective
    return _step(*parts, recipe.embed_dim, half, tuple(recipe.freeze))


@functools.lru_cache(maxsize=1_024)
def _step(
    image: ImageTower,
    text: TextTower,
    objective: Objective,
    embed_dim: int,
    half: bool,
    freeze: tuple[Modality, ...],
) -> Step:
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    from seedbed.model.pretrainer import Pretrainer

    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        model = Pretrainer(image, text, objective, embed_dim=embed_dim, seed=0, freeze=freeze)
    norms = torch.nn.modules.batchnorm._BatchNorm
    splits = not any(isinstance(module, norms) for module in model.modules())
    # As a CPU's tensors: those of the meta device know no half precision, and no fused attention.
    with FakeTensorMode(allow_non_fake_inputs=True), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of kernels that another device would have
        model.to_empty(device="cpu")
        # Not of one row: a norm over a map of one pixel then has nothing to average.
        two, three = (_saved(model, rows, image.size, text.context, half) for rows in (2, 3))
    return Step(row=three - two, fixed=max(0, 3 * two - 2 * three), splits=splits)


def _saved(model: object, rows: int, size: int, context: int, half: bool) -> int:
    """Bytes that autograd saves of a pass of `rows`, without the weights themselves."""
    import torch

    from seedbed.model.pretrainer import Pretrainer

    assert isinstance(model, Pretrainer)
    own = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage  # held, so that no other gets its number
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        for view in model.objective.views:
            columns: tuple[torch.Tensor, ...]
            if view.modality == "image":
                columns = (torch.zeros(rows, size, size, 3, dtype=torch.uint8),)
            else:
                columns = (
                    torch.zeros(rows, context, dtype=torch.int32),
                    torch.ones(rows, dtype=torch.int32),
                )
            model.encode(view, columns, "cpu" if half else None)
    return sum(storage.nbytes() for storage in kept.values())
