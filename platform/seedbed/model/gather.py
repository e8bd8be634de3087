"""The one place where a loss sees other ranks: a gather that carries gradient.

Every term averages over its local rows and DDP averages over ranks. With the gather's backward
as a sum over ranks, the result is the gradient of the mean over the global batch, whatever the
number of ranks (the paper's code divides by W and sums instead; the two agree).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")


@dataclass
class _Together:
    """The processes that train the same variants: a process group, how many, and which is this.

    Without one all processes do. One for each process, set before anything trains. What is said
    in plain values goes over `on_host`, where there is such a group, and not through their GPUs.
    """

    group: Any = None
    on_host: Any = None
    world: int = 0
    rank: int = 0


_together = _Together()


def gather_over(group: Any, world: int, rank: int, on_host: Any = None) -> None:
    """Gather and average over the `world` processes of `group` from now on, of which this is
    number `rank`; over `on_host`, of the same ones, they tell each other plain values."""
    _together.group, _together.world, _together.rank = group, world, rank
    _together.on_host = on_host


def data_group() -> Any:
    """The process group that gradients are averaged over, where several ranks train."""
    return dist.group.WORLD if _together.group is None else _together.group


class Gather:
    """Rows of all ranks, for a global batch whose ranks hold `sizes` rows each.

    Sizes differ where samples that did not decode were left out.
    """

    def __init__(self, sizes: tuple[int, ...] = (), rank: int = 0) -> None:
        self.sizes = sizes
        self.rank = rank

    @property
    def world(self) -> int:
        return max(1, len(self.sizes))

    @property
    def offset(self) -> int:
        """The global number of this rank's first row."""
        return sum(self.sizes[: self.rank])

    def rows(self, x: Tensor) -> Tensor:
        """x [n, ...] of this rank to [sum of sizes, ...] in rank order, with gradient."""
        if self.world == 1:
            return x
        most = max(self.sizes)
        padded = x.contiguous()
        if len(x) < most:
            padded = torch.cat([x, x.new_zeros(most - len(x), *x.shape[1:])])
        every: Tensor = _AllGather.apply(padded)  # type: ignore[no-untyped-call]
        return torch.cat([every[r * most : r * most + n] for r, n in enumerate(self.sizes)])

    def mean(self, values: Tensor) -> Tensor:
        """values [n] to a scalar whose average over ranks is the mean over all ranks' rows."""
        if self.world == 1:
            return values.mean()
        return values.sum() * (self.world / sum(self.sizes))

    def mean_of(self, total: Tensor, count: Tensor) -> Tensor:
        """`total` [] and `count` [] of this rank to a scalar whose average over ranks is the sum
        of totals over the sum of counts; 0 where nothing was counted."""
        everywhere = sum_over_ranks(count.detach()) if self.world > 1 else count
        return total * (self.world / everywhere.clamp(min=1))


def sum_over_ranks(x: Tensor) -> Tensor:
    """x summed over ranks, with gradient; x itself where there is one rank."""
    if not several_ranks():
        return x
    total: Tensor = _AllReduce.apply(x)  # type: ignore[no-untyped-call]
    return total


def several_ranks() -> bool:
    """Whether this process trains together with others."""
    return world_size() > 1


def world_size() -> int:
    """How many processes train together; 1 where nothing was set up."""
    if _together.world:
        return _together.world
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def own_rank() -> int:
    """The number of this process among those that train together."""
    if _together.world or not several_ranks():
        return _together.rank
    return dist.get_rank()


def take_first(tensor: Tensor) -> None:
    """Give `tensor` the first process's values."""
    first = dist.get_global_rank(_together.group, 0) if _together.group is not None else 0
    dist.broadcast(tensor, src=first, group=_together.group)


def largest_over_ranks(values: list[int], device: torch.device) -> list[int]:
    """Each value's maximum over ranks."""
    if not several_ranks() or not values:
        return values
    told = torch.tensor(values, dtype=torch.int64, device=device)
    dist.all_reduce(told, op=dist.ReduceOp.MAX, group=_together.group)
    return [int(value) for value in told.tolist()]


def of_every_rank(mine: T) -> list[T]:
    """The value of every rank, in rank order; any value that can be pickled."""
    if not several_ranks():
        return [mine]
    every: list[Any] = [None] * world_size()
    dist.all_gather_object(every, mine, group=_together.on_host or _together.group)
    return every


def in_turns(items: Sequence[A], act: Callable[[A], B]) -> list[B]:
    """`act` of each of `items`, in their order: of several ranks each does every W-th.

    All ranks must have the same items. What others did comes by the processor's memory.
    """
    world, rank = world_size(), own_rank()
    if world == 1:
        return [act(item) for item in items]
    parts = of_every_rank([_on_cpu(act(item)) for item in items[rank::world]])
    return [parts[number % world][number // world] for number in range(len(items))]


def _on_cpu(value: Any) -> Any:
    """Tensors of it: a rank cannot take what lies on another's device."""
    if isinstance(value, torch.Tensor):
        return value.cpu()
    return tuple(map(_on_cpu, value)) if isinstance(value, tuple) else value


class _AllReduce(torch.autograd.Function):
    """The sum over ranks forward; the sum over ranks of the gradient backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, group=_together.group)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        grad = grads[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(grad, group=_together.group)
        return grad


class _AllGather(torch.autograd.Function):
    """All ranks' rows forward; the sum over ranks of this rank's part backward.

    `torch.distributed.nn.all_gather` gives silently wrong gradients when the incoming gradient
    is strided, so it is made contiguous here.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        out = x.new_empty(world_size() * x.shape[0], *x.shape[1:])
        dist.all_gather_into_tensor(out, x, group=_together.group)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        n = len(grads[0]) // world_size()
        if grads[0].is_cuda and "nccl" in dist.get_backend(_together.group):
            mine = grads[0].new_empty(n, *grads[0].shape[1:])
            dist.reduce_scatter_tensor(mine, grads[0].contiguous(), group=_together.group)
            return mine
        # gloo would send as much to scatter. It sums in place, and the gradient is another's.
        grad = grads[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(grad, group=_together.group)
        return grad[own_rank() * n : (own_rank() + 1) * n]
