"""The gather over ranks. Oracle: the same sum of all rows in one process."""

from __future__ import annotations

import os
import socket
import tempfile

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from tests.fixtures.ranks import OverRanks
from torch import Tensor

from seedbed.model.gather import Gather

SIZES = (5, 3)
ROWS, WEIGHTS = (torch.randn(8, 3, generator=torch.Generator().manual_seed(n)) for n in (0, 1))


def loss_of(x: Tensor, gather: Gather) -> Tensor:
    """Each rank weighs all ranks' rows by its own number, so that what comes back is a sum."""
    return ((gather.rank + 1) * WEIGHTS.to(x.device) * gather.rows(x)).sum()


def one_rank(mine: slice, gather: Gather, device: str = "cpu") -> list[Tensor]:
    x = ROWS[mine].to(device).requires_grad_()
    loss_of(x, gather).backward()
    assert x.grad is not None
    whole = torch.zeros_like(ROWS)
    whole[mine] = x.grad.cpu()
    return [len(SIZES) * whole]  # `over_ranks` gives means


def strided(mine: slice, gather: Gather) -> list[Tensor]:
    """The gradient of a transpose is strided."""
    x = ROWS[mine].requires_grad_()
    (gather.rows(x).T * WEIGHTS.T).sum().backward()
    assert x.grad is not None
    whole = torch.zeros_like(ROWS)
    whole[mine] = x.grad
    return [len(SIZES) * whole]


@pytest.mark.slow
def test_the_gradient_of_a_row_is_the_sum_of_all_ranks_gradients(over_ranks: OverRanks) -> None:
    for (found,) in over_ranks(one_rank, SIZES):
        torch.testing.assert_close(found, 3 * WEIGHTS)  # 1 + 2, of the two ranks
    for (found,) in over_ranks(strided, SIZES):
        torch.testing.assert_close(found, 2 * WEIGHTS)


def _on_gpu(rank: int, port: int, results: str) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.cuda.set_device(rank)
    dist.init_process_group("nccl", rank=rank, world_size=len(SIZES))
    first = sum(SIZES[:rank])
    gather = Gather(SIZES, rank)
    mine = slice(first, first + SIZES[rank])
    torch.save(one_rank(mine, gather, f"cuda:{rank}")[0] / len(SIZES), f"{results}/{rank}")
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.gpu
def test_nccl_scatters_the_same_sums() -> None:
    if torch.cuda.device_count() < len(SIZES):
        pytest.skip("NCCL wants a GPU for each rank, and there is one")
    with socket.socket() as free, tempfile.TemporaryDirectory() as results:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        mp.spawn(_on_gpu, args=(port, results), nprocs=len(SIZES))
        found = sum(torch.load(f"{results}/{rank}") for rank in range(len(SIZES)))
    torch.testing.assert_close(found, 3 * WEIGHTS)
