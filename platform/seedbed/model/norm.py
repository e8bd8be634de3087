"""Batch normalisation whose statistics do not depend on how many ranks share the batch."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn
from torch.nn.modules._functions import SyncBatchNorm
from torch.nn.modules.batchnorm import _BatchNorm

from seedbed.model.gather import data_group, several_ranks, sum_over_ranks, world_size


class BatchNorm(nn.BatchNorm1d):
    """`nn.BatchNorm1d` of [n, C], with the statistics of all ranks' rows when `synced`.

    The paper's code leaves its heads' norms local, so that their result changes with the number
    of GPUs; synced, W ranks compute what 1 rank does.
    """

    def __init__(self, num_features: int, *, synced: bool = True) -> None:
        super().__init__(num_features)
        self.synced = synced

    def forward(self, x: Tensor) -> Tensor:
        if self.synced and self.training and several_ranks():
            return synced_norm(x, self)
        return super().forward(x)


def sync_tower(tower: nn.Module) -> None:
    """Make every batch norm of `tower` take its statistics over all ranks.

    A norm keeps its class, its parameters and what its class does after normalising (timm's
    drop and activate); only the normalising is replaced, and only while ranks train together.
    """
    for module in tower.modules():
        if isinstance(module, _BatchNorm):
            module.forward = functools.partial(_synced_forward, module)  # type: ignore[method-assign]


def _synced_forward(norm: _BatchNorm, x: Tensor) -> Tensor:
    if not (norm.training and several_ranks()):
        forward = type(norm).forward
        out: Tensor = forward(norm, x)
        return out
    y = synced_norm(x, norm)
    for then in ("drop", "act"):
        if hasattr(norm, then):
            y = getattr(norm, then)(y)
    return y


def synced_norm(x: Tensor, norm: _BatchNorm) -> Tensor:
    """Normalise x [n, C, ...] over all ranks' rows and positions; running statistics follow.

    On GPUs by the operation below `nn.SyncBatchNorm`, which has kernels there alone. Not where it
    is compiled: torch's waits for the GPU in its middle, which would cut a tower into pieces, and
    this one is compiled as it stands.
    """
    if x.is_cuda and not torch.compiler.is_compiling():
        return _synced_on_gpu(x, norm)
    over = [0, *range(2, x.ndim)]
    shape = [1, -1] + [1] * (x.ndim - 2)
    wide = x.float()
    # The count goes with the sums. By itself it would be a constant, and a compiler makes one
    # reduction of several equal ones: on one rank, where another's norms have other counts.
    count = wide.new_tensor([x.numel() / x.shape[1]])
    sums = sum_over_ranks(torch.cat([wide.sum(over), count]))
    mean, count = sums[:-1] / sums[-1], sums[-1]
    # Centred before it is squared: the difference of two large sums would lose digits.
    centred = wide - mean.view(shape)
    variance = sum_over_ranks(centred.square().sum(over)) / count
    y = centred * torch.rsqrt(variance + norm.eps).view(shape)
    if norm.weight is not None:
        y = y * norm.weight.view(shape) + norm.bias.view(shape)
    _follow(norm, mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
    return y.to(x.dtype)


def _synced_on_gpu(x: Tensor, norm: _BatchNorm) -> Tensor:
    out: Tensor = SyncBatchNorm.apply(  # type: ignore[no-untyped-call]
        x,
        norm.weight,
        norm.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        _next_share(norm),
        data_group(),
        world_size(),
    )
    return out


@torch.no_grad()
def _follow(norm: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    if norm.running_mean is None or norm.running_var is None:
        return
    share = _next_share(norm)
    norm.running_mean.lerp_(mean, share)
    norm.running_var.lerp_(variance, share)


def _next_share(norm: _BatchNorm) -> float:
    """Counts a batch; its share in the running statistics, 0 where there are none."""
    if norm.num_batches_tracked is None:
        return 0.0
    norm.num_batches_tracked.add_(1)
    return norm.momentum if norm.momentum is not None else 1.0 / float(norm.num_batches_tracked)
