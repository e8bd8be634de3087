"""The learning rate as a function of samples seen."""

from __future__ import annotations

import math

from seedbed.recipe.recipe import Recipe


def learning_rate(recipe: Recipe, samples_seen: int) -> float:
    """The rate of the step that starts after `samples_seen` samples.

    Linear from `warmup_lr` to `lr` over the warm-up, then a cosine to 0 at the budget's end (the
    law of the paper's released code, Sense-GVT/DeCLIP), or `lr` and a late fall: see `AdamW`.
    Samples are its clock.
    """
    optimizer, budget = recipe.optimizer, recipe.budget
    if samples_seen < budget.warmup_samples:
        climbed = samples_seen / budget.warmup_samples
        return optimizer.warmup_lr + (optimizer.lr - optimizer.warmup_lr) * climbed
    if optimizer.schedule == "cosine":
        done = (samples_seen - budget.warmup_samples) / (budget.samples - budget.warmup_samples)
        return 0.5 * optimizer.lr * (1 + math.cos(math.pi * min(1.0, done)))
    if samples_seen < recipe.stable_samples:
        return optimizer.lr
    fallen = (samples_seen - recipe.stable_samples) / (budget.samples - recipe.stable_samples)
    return optimizer.lr * (1 - math.sqrt(min(1.0, fallen)))
