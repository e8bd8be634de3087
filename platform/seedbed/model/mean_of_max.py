"""The operation below `token_scores`, and its gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

CHUNK_BYTES = 32 << 20  # of similarities in memory at a time


class MeanOfMax(torch.autograd.Function):
    """Means of best similarities, own [n, P, D] with other [m, L, D], in one or both directions.

    forward[i, j] = sum over p of own_share[i, p] * max over l of own[i, p] . other[j, l], and
    back[i, j] = sum over l of other_share[j, l] * max over p of the same; both [n, m].

    The similarities [n, P, m, L] are made a few rows at a time, and of them only which token was
    best is kept for the backward pass. No other code sees them, so a fused kernel would go here.
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
        scores = own.new_empty(n, m)
        best = _places(own, (n, num_own, m), num_others)
        back = back_best = None
        if other_share is not None:
            back, back_best = own.new_empty(n, m), _places(own, (n, m, num_others), num_own)
        room = _room(own, other)
        for part in _chunks(own, other):
            rows = own[part].flatten(0, 1)
            alike = torch.mm(rows, flat, out=room[: len(rows)])
            alike = alike.view(-1, num_own, m, num_others)
            if back is not None and back_best is not None:
                most, where = alike.max(1)
                back[part] = torch.einsum("ijl,jl->ij", most, other_share)
                back_best[part] = where.to(back_best.dtype)
            if other_mask is not None:
                alike.masked_fill_(~other_mask, -torch.inf)
            most, where = alike.max(-1)
            scores[part] = torch.einsum("ipj,ip->ij", most, own_share[part])
            best[part] = where.to(best.dtype)
        ctx.save_for_backward(own, other, own_share, other_share, best, back_best)
        return scores, back

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        own, other, own_share, other_share, best, back_best = ctx.saved_tensors
        grad, back_grad = grads
        m, num_others = other.shape[:2]
        flat = other.flatten(0, 1)
        grad_own, grad_other = torch.empty_like(own), torch.zeros_like(flat)
        room = _room(own, other)
        for part in _chunks(own, other):
            rows = own[part]
            # The gradient of each similarity: 0 but where it was the best.
            flat_alike = room[: rows.shape[0] * rows.shape[1]].zero_()
            alike = flat_alike.view(*rows.shape[:2], m, num_others)
            if grad is not None:
                value = own_share[part][:, :, None] * grad[part][:, None]
                alike.scatter_(-1, best[part].long()[..., None], value[..., None])
            if back_grad is not None and back_best is not None:
                value = other_share * back_grad[part][..., None]
                alike.scatter_add_(1, back_best[part].long()[:, None], value[:, None])
            grad_own[part] = (flat_alike @ flat).view_as(rows)
            grad_other.addmm_(flat_alike.T, rows.flatten(0, 1))
        return grad_own, grad_other.view_as(other), None, None, None


def _places(like: Tensor, shape: tuple[int, ...], num_tokens: int) -> Tensor:
    """A buffer for token indices: a byte each, where they fit."""
    dtype = torch.uint8 if num_tokens <= 256 else torch.int32
    return torch.empty(shape, dtype=dtype, device=like.device)


def _chunk_rows(own: Tensor, other: Tensor) -> int:
    """How many rows of `own` have similarities with `other` that fill CHUNK_BYTES."""
    a_row = own.shape[1] * other.shape[0] * other.shape[1] * own.element_size()
    return min(len(own), max(1, CHUNK_BYTES // max(1, a_row)))


def _chunks(own: Tensor, other: Tensor) -> Iterator[slice]:
    size = _chunk_rows(own, other)
    for first in range(0, len(own), max(1, size)):
        yield slice(first, first + size)


def _room(own: Tensor, other: Tensor) -> Tensor:
    """A buffer for one chunk's similarities, reused by every chunk: on a CPU, allocating fresh
    pages each time takes longer than the product itself."""
    return own.new_empty(_chunk_rows(own, other) * own.shape[1], other.shape[0] * other.shape[1])
