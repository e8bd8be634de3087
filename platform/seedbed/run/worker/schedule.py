"""The learning rate as a function of samples seen."""

from __future__ import annotations

import math

from seedbed.recipe.recipe import AdamW, Budget


def learning_rate(optimizer: AdamW, budget: Budget, samples_seen: int) -> float:
    """The rate of the step that starts after `samples_seen` samples.

    Linear from `warmup_lr` to `lr` over the warm-up, then a cosine to 0 at the budget's end:
    the law of the paper's released code (Sense-GVT/DeCLIP), with samples for its clock.
    """
    if samples_seen < budget.warmup_samples:
        climbed = samples_seen / budget.warmup_samples
        return optimizer.warmup_lr + (optimizer.lr - optimizer.warmup_lr) * climbed
    done = (samples_seen - budget.warmup_samples) / (budget.samples - budget.warmup_samples)
    return 0.5 * optimizer.lr * (1 + math.cos(math.pi * min(1.0, done)))
