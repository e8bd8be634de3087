"""The operation below `token_scores`, and its gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

CHUNK_BYTES = 32 << 20  # of similarities in memory at a time, on a CPU
# On a GPU, where each chunk is some launches: at most this part of what is free, and a constant
# where that leaves room, so that what is summed together does not depend on the neighbours.
GPU_CHUNK_BYTES, FREE_SHARE = 2 << 30, 1 / 4


class MeanOfMax(torch.autograd.Function):
    """Means of best similarities, own [n, P, D] with other [m, L, D], in one or both directions.

    forward[i, j] = sum over p of own_share[i, p] * max over l of own[i, p] . other[j, l], and
    back[i, j] = sum over l of other_share[j, l] * max over p of the same; both [n, m].

    The similarities [n, P, m, L] are made a few rows at a time, and of them only which token was
    best is kept for the backward pass. No other code sees them, so a fused kernel would go here.
    They are of the tokens' type, and may be of half precision: the shares' type is that in which
    they are averaged, and gradients summed.
    """

    @staticmethod
    def forward(
        ctx: Any,
        own: Tensor,
        other: Tensor,
        other_mask: Tensor | None,
        own_share: Tensor,
        other_share: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        (n, num_own), (m, num_others) = own.shape[:2], other.shape[:2]
        flat = other.flatten(0, 1).T
        scores = own_share.new_empty(n, m)
        best = _places(own, (n, num_own, m), num_others)
        back = back_best = None
        if other_share is not None:
            back = own_share.new_empty(n, m)
            back_best = _places(own, (n, m, num_others), num_own)
        size = _chunk_rows(own, other)
        room = _room(own, other, size)
        for part in _chunks(n, size):
            rows = own[part].flatten(0, 1)
            alike = torch.mm(rows, flat, out=room[: len(rows)])
            alike = alike.view(-1, num_own, m, num_others)
            if back is not None and back_best is not None:
                most, where = alike.max(1)
                back[part] = torch.einsum("ijl,jl->ij", most.to(back.dtype), other_share)
                back_best[part] = where.to(back_best.dtype)
            if other_mask is not None:
                alike.masked_fill_(~other_mask, -torch.inf)
            most, where = alike.max(-1)
            scores[part] = torch.einsum("ipj,ip->ij", most.to(scores.dtype), own_share[part])
            best[part] = where.to(best.dtype)
        ctx.save_for_backward(own, other, own_share, other_share, best, back_best)
        return scores, back

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        own, other, own_share, other_share, best, back_best = ctx.saved_tensors
        grad, back_grad = grads
        m, num_others = other.shape[:2]
        flat = other.flatten(0, 1)
        grad_own = torch.empty_like(own)
        grad_other = torch.zeros_like(flat, dtype=own_share.dtype)
        size = _chunk_rows(own, other)
        room = _room(own, other, size)
        for part in _chunks(len(own), size):
            rows = own[part]
            # The gradient of each similarity: 0 but where it was the best.
            flat_alike = room[: rows.shape[0] * rows.shape[1]].zero_()
            alike = flat_alike.view(*rows.shape[:2], m, num_others)
            if grad is not None:
                value = own_share[part][:, :, None] * grad[part][:, None]
                value = value.to(alike.dtype)
                alike.scatter_(-1, best[part].long()[..., None], value[..., None])
            if back_grad is not None and back_best is not None:
                value = other_share * back_grad[part][..., None]
                value = value.to(alike.dtype)
                alike.scatter_add_(1, back_best[part].long()[:, None], value[:, None])
            grad_own[part] = (flat_alike @ flat).view_as(rows)
            if grad_other.dtype == flat.dtype:
                grad_other.addmm_(flat_alike.T, rows.flatten(0, 1))
            else:
                grad_other += flat_alike.T @ rows.flatten(0, 1)
        return grad_own, grad_other.view_as(other).to(other.dtype), None, None, None


def _places(like: Tensor, shape: tuple[int, ...], num_tokens: int) -> Tensor:
    """A buffer for token indices: a byte each, where they fit."""
    dtype = torch.uint8 if num_tokens <= 256 else torch.int32
    return torch.empty(shape, dtype=dtype, device=like.device)


def _chunk_rows(own: Tensor, other: Tensor) -> int:
    """How many rows of `own` have similarities with `other` that fill a chunk."""
    a_row = own.shape[1] * other.shape[0] * other.shape[1] * own.element_size()
    return min(len(own), max(1, _chunk_bytes(own.device) // max(1, a_row)))


def _chunk_bytes(device: torch.device) -> int:
    if device.type != "cuda":
        return CHUNK_BYTES
    free, _ = torch.cuda.mem_get_info(device)
    # What this process holds and does not use is free to it too.
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return max(CHUNK_BYTES, min(GPU_CHUNK_BYTES, int(FREE_SHARE * free)))


def _chunks(num_rows: int, size: int) -> Iterator[slice]:
    for first in range(0, num_rows, max(1, size)):
        yield slice(first, first + size)


def _room(own: Tensor, other: Tensor, size: int) -> Tensor:
    """A buffer for the similarities of `size` rows, reused by every chunk: on a CPU, allocating
    fresh pages each time takes longer than the product itself."""
    return own.new_empty(size * own.shape[1], other.shape[0] * other.shape[1])
