"""Whether a model's numbers are finite."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from seedbed.model.gather import largest_over_ranks


def all_finite(model: nn.Module) -> bool:
    """Whether every weight and running statistic is finite on this rank; waits for a GPU."""
    largest = get_total_norm([tensor for _, tensor in _numbers(model)], math.inf)
    return bool(largest.isfinite())


def first_not_finite(model: nn.Module, device: torch.device) -> str | None:
    """The first weight or running statistic with a value that is not finite, on any rank."""
    if not largest_over_ranks([int(not all_finite(model))], device)[0]:
        return None
    names, tensors = zip(*_numbers(model), strict=True)
    bad = torch.stack([~torch.isfinite(tensor).all() for tensor in tensors]).tolist()
    bad = largest_over_ranks([int(flag) for flag in bad], device)
    return next(name for name, flag in zip(names, bad, strict=True) if flag)


def _numbers(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for named in (model.named_parameters(), model.named_buffers()):
        yield from ((n, t.detach()) for n, t in named if t.is_floating_point() and t.numel())
