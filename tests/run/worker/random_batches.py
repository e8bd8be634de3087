"""Small recipes and random batches for them, for tests of training that read no corpus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from seedbed.data.render.render import Columns
from seedbed.model.objective import Objective
from seedbed.model.terms.masked_lm import IGNORED
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower
from seedbed.plan.cohort import Cohort
from seedbed.recipe.recipe import Budget, Recipe
from seedbed.recipe.resolve import Said, resolve
from seedbed.recipe.scale import SMOKE
from seedbed.run.worker.cohort import CohortTraining
from seedbed.study.trial import Trial
from seedbed.variants import CLIP

ROWS, STEPS, CONTEXT, SIZE = 16, 6, 24, 32
VIT = ImageTower(
    "vit_base_patch32_clip_quickgelu_224",
    SIZE,
    (("depth", 1), ("embed_dim", 48), ("num_heads", 3), ("patch_size", 8)),
)


def recipe(layers: int = 1, objective: Objective = CLIP, **fields: Any) -> Recipe:
    """A recipe of STEPS steps; its objective with the heads of the scale `smoke`."""
    small = resolve(Recipe(objective=objective), SMOKE, [Said("the test", {})]).objective
    given: dict[str, Any] = {"image": VIT, "embed_dim": 16} | fields
    return Recipe(
        objective=small,
        text=TextTower(layers=layers, width=32, heads=2, context=CONTEXT),
        budget=Budget(samples=ROWS * STEPS, warmup_samples=0, batch=ROWS),
        **given,
    )


def cohort(*recipes: Recipe) -> Cohort:
    return Cohort(tuple(Trial((("n", i),), one) for i, one in enumerate(recipes)))


def batch(members: Cohort, step: int) -> Columns:
    """The columns of a step: captions of up to 8, 16 or 24 tokens by turns, some of them masked."""
    rng = np.random.default_rng(step)
    out: Columns = {
        "id": np.arange(ROWS) + step * ROWS,
        "fault": np.full(ROWS, "", dtype=object),
    }
    for view in sorted({v for trial in members.trials for v in trial.recipe.objective.views}):
        if view.modality == "image":
            out[view.name] = rng.integers(0, 256, (ROWS, SIZE, SIZE, 3), dtype=np.uint8)
            continue
        longest = 8 * (1 + step % 3)
        lengths = rng.integers(4, longest + 1, ROWS, dtype=np.int32)
        lengths[0] = longest
        ids = rng.integers(1, 49_000, (ROWS, CONTEXT), dtype=np.int32)
        within = np.arange(CONTEXT) < lengths[:, None]
        out[view.name], out[view.length] = np.where(within, ids, 0).astype(np.int32), lengths
        if view.name == "text_masked":
            masked = within & (rng.random((ROWS, CONTEXT)) < 0.3)
            out[view.target] = np.where(masked, ids, IGNORED).astype(np.int32)
    return out


def trained(
    members: Cohort, device: torch.device, *, start: int = 0, state: dict[str, Any] | None = None
) -> CohortTraining:
    """A cohort after STEPS steps, or from `start` on from its state there."""
    training = CohortTraining(members, device)
    if state is not None:
        training.load_state_dict(state)
    for step in range(start, STEPS):
        training.step(training.prepare(batch(members, step)))
    training.collect()
    return training


def trained_beside_a_greedy_one(
    greedy: Recipe, sound: Recipe, device: torch.device, ask: Callable[[], object]
) -> CohortTraining:
    """A cohort of both after STEPS steps; `greedy`'s model asks for memory in its third one."""
    members = cohort(greedy, sound)
    training = CohortTraining(members, device)
    sick = training.variants[greedy.key()]

    def allocate(*_: object) -> None:
        if sick.step_number == 2:
            ask()

    sick.model.register_forward_pre_hook(allocate)
    for step in range(STEPS):
        training.step(training.prepare(batch(members, step)))
    training.collect()
    return training


def weights(training: CohortTraining, of: Recipe) -> dict[str, Any]:
    return {
        name: value.detach().cpu()
        for name, value in training.variants[of.key()].model.state_dict().items()
        if isinstance(value, torch.Tensor)
    }
