"""The layer from a tower's output to the embedding that pictures and captions share."""

from __future__ import annotations

from torch import nn


def projection(width: int, embed_dim: int, *, bias: bool) -> nn.Linear:
    """N(0, width^-1/2), zero bias: CLIP's initialisation of both projections."""
    layer = nn.Linear(width, embed_dim, bias=bias)
    nn.init.normal_(layer.weight, std=width**-0.5)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
