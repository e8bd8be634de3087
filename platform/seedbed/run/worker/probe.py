"""Times some steps of a trial on this machine, by the code that trains it, on random samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from seedbed.data.render.render import Columns
from seedbed.data.views import View
from seedbed.model.terms.masked_lm import IGNORED
from seedbed.plan.cohort import Cohort
from seedbed.plan.cost import Cost
from seedbed.recipe.recipe import Recipe
from seedbed.run.worker.clock import STARTUP_STEPS
from seedbed.run.worker.cohort import CohortTraining
from seedbed.study.trial import Trial

STEPS = 3  # beside those of the start-up
MOST_FLOPS = 3e10  # of a step on a CPU: a second or two of one core
LEAST_ROWS = 2  # for statistics over the rows
_WORDS, _MASKED = 49_000, 0.15


@dataclass(frozen=True)
class Timed:
    """Seconds of one core, or of the GPU, for a sample, in `steps` of `rows` rows."""

    seconds: float
    steps: int
    rows: int


def timed(trial: Trial, cost: Cost, device: torch.device) -> Timed:
    """How long the trial's own steps take: reading and decoding are not in it.

    A GPU has the whole batch, or the largest part of it that it holds; a CPU as many rows as take
    a second or two.
    """
    rows = trial.recipe.budget.batch
    if device.type == "cpu":
        affordable = int(MOST_FLOPS * cost.samples / cost.train_flops)
        steps = STARTUP_STEPS + STEPS if affordable >= LEAST_ROWS else 2
        return _timed(trial, min(rows, max(LEAST_ROWS, affordable)), steps, device)
    while True:
        try:
            return _timed(trial, rows, STARTUP_STEPS + STEPS, device)
        except torch.cuda.OutOfMemoryError:
            if rows <= LEAST_ROWS:
                raise
        rows //= 2  # outside the except clause, whose traceback holds the tensors
        torch.cuda.empty_cache()


def _timed(trial: Trial, rows: int, num_steps: int, device: torch.device) -> Timed:
    training = CohortTraining(Cohort((trial,)), device)
    (variant,) = training.variants.values()
    for number in range(num_steps):
        batch = training.prepare(random_columns(trial.recipe, rows, number))
        variant.step(batch.tensors, batch.gather())
    variant.clock.settle()
    return Timed(variant.clock.cost_seconds / num_steps / rows, num_steps, rows)


def random_columns(recipe: Recipe, rows: int, number: int) -> Columns:
    """Random pictures and captions of all lengths, one of them the longest, some masked."""
    rng = np.random.default_rng(number)
    size, context = recipe.image.size, recipe.text.context
    out: Columns = {"id": np.arange(rows), "fault": np.full(rows, "", object)}
    for view in sorted(recipe.objective.views):
        if view.modality == "image":
            out[view.name] = rng.integers(0, 256, (rows, size, size, 3), dtype=np.uint8)
        else:
            out |= _captions(view, rows, context, rng)
    return out


def _captions(view: View, rows: int, context: int, rng: np.random.Generator) -> Columns:
    lengths = rng.integers(min(4, context), context + 1, rows, dtype=np.int32)
    lengths[0] = context
    within = np.arange(context) < lengths[:, None]
    ids = np.where(within, rng.integers(1, _WORDS, (rows, context)), 0).astype(np.int32)
    masked = within & (rng.random((rows, context)) < _MASKED)
    own: Columns = {view.name: ids, view.length: lengths}
    if view.name == "text_masked":
        own[view.target] = np.where(masked, ids, IGNORED).astype(np.int32)
    return own
