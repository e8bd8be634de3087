"""The optimizer of a variant, by its recipe."""

from __future__ import annotations

import torch
from torch import nn

from seedbed.recipe.recipe import Recipe

ATTENTION_BIASES = (".attend.bias", ".qkv.bias")  # of our text blocks and timm's


def build_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW with decay on tensors of two or more dimensions, and none on biases and scales.

    See `AdamW.decay_attention_bias` for the exception that the paper's code makes.
    """
    settings = recipe.optimizer
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        exception = settings.decay_attention_bias and name.endswith(ATTENTION_BIASES)
        (decayed if parameter.ndim >= 2 or exception else others).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": settings.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=settings.lr,
        betas=(settings.beta1, settings.beta2),
        eps=settings.eps,
        fused=True,
    )
