"""A cohort's workers as a mesh of variants x data: who steps which variants on which rows.

Of V x D workers, worker (v, d) steps the variants given to v on the d-th part of D of every batch.
Each worker reads and renders its own 1/(V x D) of a batch; the V workers of one d then exchange
their parts, so that a batch is decoded once for all variants. Gradients are averaged over the D
workers of one v, which is all that a variant's numbers depend on: the same D gives the same bits,
whatever V is.

Parts are exchanged in host memory, over gloo; between GPUs with D = 1 over NCCL, pictures and
tokens from one to the other. With D > 1 a thread's exchange would meet the gradients of another on
the same GPU, and NCCL's groups may wait for each other if two ranks begin them in another order.
The path over NCCL has not been run on two cards yet; SEEDBED_EXCHANGE=gloo turns it off.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist

from seedbed.data.render.render import Columns
from seedbed.data.views import View
from seedbed.model.gather import gather_over
from seedbed.run.worker.assignment import COLLECTIVE_SECONDS

T = TypeVar("T")
FAULTY = "faulty"  # of an exchange: which rows have a fault in words
EXCHANGE = "SEEDBED_EXCHANGE"
CPU = torch.device("cpu")


class Mesh:
    """This worker's place in the mesh of `world` workers, `num_parts` (D) of them to a variant.

    Made by all workers together, each for its `device`: it sets up the groups that talk to each
    other, and wait for each other for so many `seconds`.
    """

    def __init__(
        self,
        rank: int = 0,
        world: int = 1,
        num_parts: int = 1,
        device: torch.device = CPU,
        seconds: float = COLLECTIVE_SECONDS,
    ) -> None:
        self.rank, self.world, self.num_parts, self.device = rank, world, num_parts, device
        self.num_shares = world // num_parts  # V
        self.part, self.share = divmod(rank, self.num_shares)  # d and v
        # Of their own, in host memory on a GPU's machine too: a thread talks over them while
        # another trains.
        self._exchange: Any = None
        self._between_gpus: Any = None
        self._agree: Any = None
        self._all: Any = None
        said_over: Any = None
        on_gpus = device.type == "cuda"
        # Else torch's own: NCCL's is ten minutes, and reading may be tried again for longer.
        new_group = functools.partial(dist.new_group, timeout=timedelta(seconds=seconds))
        if on_gpus and world > 1:  # what is said between steps does not wait for the GPU
            self._all = new_group(list(range(world)), backend="gloo")
        for share in range(self.num_shares if num_parts > 1 else 0):
            ranks = [part * self.num_shares + share for part in range(num_parts)]
            # One for each of the two threads that talk: the feed's, and the one that trains.
            group, on_host = (new_group(ranks, backend="gloo") for _ in range(2))
            if share == self.share:
                self._agree, said_over = group, on_host
        if self.num_shares == 1:
            if num_parts > 1:  # all train the same
                gather_over(None, 0, 0, said_over)
            return
        for share in range(self.num_shares):
            ranks = [part * self.num_shares + share for part in range(num_parts)]
            group = new_group(ranks)
            if share == self.share:
                gather_over(group, num_parts, self.part, said_over)
        for part in range(num_parts):
            ranks = [part * self.num_shares + share for share in range(self.num_shares)]
            group = new_group(ranks, backend="gloo")
            if part == self.part:
                self._exchange = group
        if on_gpus and num_parts == 1 and os.environ.get(EXCHANGE) != "gloo":
            self._between_gpus = new_group(list(range(world)), backend="nccl")

    @property
    def is_first(self) -> bool:
        """Whether this worker speaks for its variants: the first of those that train them."""
        return self.part == 0

    def mine(self, trials: Sequence[T], cost: Callable[[T], float]) -> list[T]:
        """Of a cohort's trials those that this worker trains, in their order."""
        places = split_by_cost([cost(trial) for trial in trials], self.num_shares)[self.share]
        return [trials[place] for place in places]

    def exchange(self, columns: Columns) -> dict[str, Any]:
        """Rows of this worker to those of all workers of its part, in the order of their lanes.

        What only trains comes as tensors on the GPU, where GPUs exchange: on the calling thread's
        stream. All else comes as arrays.
        """
        if self._exchange is None:
            return columns
        numbers = {name: np.ascontiguousarray(c) for name, c in columns.items() if name != "fault"}
        numbers[FAULTY] = np.array([bool(fault) for fault in columns["fault"]])
        out: dict[str, Any] = {}
        if self._between_gpus is not None:
            for_host = {"id", FAULTY, *(View(name, "text").length for name in numbers)}
            large = {name: c for name, c in numbers.items() if name not in for_host}
            out |= gathered(large, self._between_gpus, self.num_shares, self.device)
            numbers = {name: c for name, c in numbers.items() if name in for_host}
        found = gathered(numbers, self._exchange, self.num_shares, CPU)
        out |= {name: column.numpy() for name, column in found.items()}
        faults = np.full(len(out[FAULTY]), "", dtype=object)
        if out.pop(FAULTY).any():
            words: list[Any] = [None] * self.num_shares
            dist.all_gather_object(words, list(columns["fault"]), group=self._exchange)
            faults[:] = [word for part in words for word in part]
        return out | {"fault": faults}

    def agree(self, numbers: list[int]) -> list[list[int]]:
        """These numbers of each of the workers that train this worker's variants, by part."""
        if self._agree is None:
            return [numbers]
        told = torch.empty(self.num_parts * len(numbers), dtype=torch.int64)
        dist.all_gather_into_tensor(told, torch.tensor(numbers), group=self._agree)
        return told.reshape(self.num_parts, -1).tolist()

    def of_every_worker(self, mine: T) -> list[T]:
        """What each worker calls this with, by rank; any value that can be pickled."""
        if self.world == 1:
            return [mine]
        every: list[Any] = [None] * self.world
        dist.all_gather_object(every, mine, group=self._all)
        return every

    def first_alone(self, act: Callable[[], T]) -> T:
        """What `act` gives on this worker; worker 0 has done with it before the others begin."""
        if self.rank:
            self.of_every_worker(None)
            return act()
        mine = act()
        self.of_every_worker(None)
        return mine

    def said_by_first(self, *flags: bool) -> list[bool]:
        """Worker 0's flags on every worker: clocks differ, and a report is a barrier."""
        return self.of_every_worker(list(flags))[0]

    def any(self, flag: bool) -> bool:
        """Whether some worker's flag is set."""
        return any(self.of_every_worker(flag))


def gathered(
    columns: Columns, group: Any, world: int, device: torch.device
) -> dict[str, torch.Tensor]:
    """`columns` of all `world` processes of `group`, joined in their order, on `device`.

    One message: their bytes side by side. All have as many rows. Between GPUs it is begun on the
    current stream, and may not have ended.
    """
    packed = torch.empty(
        sum(column.nbytes for column in columns.values()),
        dtype=torch.uint8,
        pin_memory=device.type == "cuda",
    )
    parts = [column.reshape(-1).view(np.uint8) for column in columns.values()]
    np.concatenate(parts, out=packed.numpy())
    flat = torch.empty(world * len(packed), dtype=torch.uint8, device=device)
    dist.all_gather_into_tensor(flat, packed.to(device, non_blocking=True), group=group)
    every, start = flat.view(world, -1), 0
    out: dict[str, torch.Tensor] = {}
    for name, column in columns.items():
        part = every[:, start : start + column.nbytes].contiguous()
        dtype = torch.from_numpy(np.empty(0, column.dtype)).dtype
        out[name] = part.view(dtype).reshape(-1, *column.shape[1:])
        start += column.nbytes
    return out


def split_by_cost(costs: Sequence[float], num_shares: int) -> list[list[int]]:
    """The numbers of `costs`, ascending, in shares of about the same sum.

    The costliest first, each to the share with the least so far: all wait for the slowest.
    """
    shares: list[list[int]] = [[] for _ in range(num_shares)]
    loads = [0.0] * num_shares
    for number in sorted(range(len(costs)), key=lambda n: -costs[n]):
        share = loads.index(min(loads))
        loads[share] += costs[number]
        shares[share].append(number)
    return [sorted(share) for share in shares]
