"""Batches exchanged between GPUs. Oracle: the same batch from arrays in host memory."""

from __future__ import annotations

import os
import socket
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from tests.run.worker.random_batches import ROWS, batch, cohort, recipe

from seedbed.data.fault import Fault
from seedbed.run.worker.batch import Batch, make_batch
from seedbed.run.worker.mesh import Mesh

CPU = torch.device("cpu")


def columns(*faulty: int) -> dict[str, Any]:
    found = batch(cohort(recipe(1)), 0)
    fault = np.full(ROWS, "", dtype=object)
    for row in faulty:
        fault[row] = Fault("a.tar", str(row), "for a test").line
    return found | {"fault": fault}


def assert_same(a: Batch, b: Batch) -> None:
    assert (a.faults, a.sizes, a.tensors.keys()) == (b.faults, b.sizes, b.tensors.keys())
    assert (a.ids == b.ids).all()
    for name, tensor in b.tensors.items():
        ours = a.tensors[name].cpu()
        assert ours.dtype == tensor.dtype and ours.is_contiguous()
        assert torch.equal(ours, tensor), name


@pytest.mark.parametrize("faulty", [(), (0, 7)])
def test_a_batch_of_tensors_that_are_there_is_that_of_arrays(faulty: tuple[int, ...]) -> None:
    arrays = columns(*faulty)
    there = {
        name: torch.from_numpy(np.array(column))
        if name.startswith(("image", "text")) and not name.endswith("_length")
        else column
        for name, column in arrays.items()
    }
    assert any(isinstance(column, torch.Tensor) for column in there.values())
    made = make_batch(there, recipe(1), CPU)
    assert_same(made, make_batch(arrays, recipe(1), CPU))
    assert len(made.tensors["image"]) == ROWS - len(faulty)


def exchanging(rank: int, world: int, port: int) -> None:
    """One rank, on a GPU of its own, on a side stream as the feed's thread is."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    device = torch.device("cuda", rank)
    torch.cuda.set_device(device)
    dist.init_process_group("nccl", rank=rank, world_size=world)
    mesh, each = Mesh(rank, world, 1, device), ROWS // world
    for faulty in ((), (0, 7)):
        whole = columns(*faulty)
        mine = {name: column[rank * each : (rank + 1) * each] for name, column in whole.items()}
        stream = torch.cuda.Stream(device)
        with torch.cuda.stream(stream):
            every = mesh.exchange(mine)
            made = make_batch(every, recipe(1), device)
        stream.synchronize()
        assert every["image"].device == device
        assert_same(made, make_batch(whole, recipe(1), CPU))
    assert mesh.of_every_worker(rank) == list(range(world))
    dist.destroy_process_group()


@pytest.mark.gpu
@pytest.mark.slow
def test_gpus_exchange_their_parts_over_nccl() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs: NCCL refuses two ranks on one")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(exchanging, args=(2, port), nprocs=2)
