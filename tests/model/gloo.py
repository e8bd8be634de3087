"""A loss over several gloo ranks, for tests: what DDP would make of it."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from seedbed.model.gather import Gather

Values = Callable[[slice, Gather], list[Tensor]]


def over_ranks(values: Values, sizes: tuple[int, ...]) -> list[list[Tensor]]:
    """Of each rank, the mean over ranks of `values(rows, gather)`; rank r has sizes[r] rows.

    `values` is a function of a module, since the ranks are processes that import it.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as results:
        mp.spawn(_rank, args=(values, sizes, port, results), nprocs=len(sizes))
        return [torch.load(f"{results}/{rank}") for rank in range(len(sizes))]


def _rank(rank: int, values: Values, sizes: tuple[int, ...], port: int, results: str) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=len(sizes))
    first = sum(sizes[:rank])
    gather = Gather(sizes if len(sizes) > 1 else (), rank)
    found = values(slice(first, first + sizes[rank]), gather)
    for value in found:
        dist.all_reduce(value)
        value /= len(sizes)
    torch.save(found, f"{results}/{rank}")
    dist.destroy_process_group()
