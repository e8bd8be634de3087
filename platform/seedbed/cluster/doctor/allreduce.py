"""One rank of a sum over ranks, as a process of its own: `MEET RANK LOCAL_RANK WORLD BACKEND`.

It prints `{"world": ..., "seconds": ..., "bus": bytes/s}`; the last is what nccl-tests call bus
bandwidth, 2 (n - 1) / n times the bytes over the time.
https://github.com/NVIDIA/nccl-tests/blob/master/doc/PERFORMANCE.md
"""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta

import torch
import torch.distributed as dist

NUM_BYTES, NUM_TIMES, SECONDS = 256_000_000, 10, 60


def measure(meet: str, rank: int, local_rank: int, world: int, backend: str) -> dict[str, float]:
    """Sum the same tensor again and again over all ranks. Raises where a sum is wrong."""
    device = torch.device("cuda", local_rank) if backend == "nccl" else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(
        backend, init_method=meet, rank=rank, world_size=world, timeout=timedelta(seconds=SECONDS)
    )
    num_bytes = NUM_BYTES if device.type == "cuda" else NUM_BYTES // 64
    told = torch.full((num_bytes // 4,), float(rank + 1), device=device)
    dist.all_reduce(told)  # the first one connects
    if float(told[0]) != world * (world + 1) / 2:
        raise ArithmeticError(f"the sum over {world} ranks is {float(told[0])}")
    _wait(device)
    began = time.perf_counter()
    for _ in range(NUM_TIMES):
        dist.all_reduce(told)
    _wait(device)
    seconds = (time.perf_counter() - began) / NUM_TIMES
    dist.destroy_process_group()
    bus = 2 * (world - 1) / world * num_bytes / seconds
    return {"world": world, "seconds": seconds, "bus": bus}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    meet, rank, local_rank, world, backend = sys.argv[1:]
    print(json.dumps(measure(meet, int(rank), int(local_rank), int(world), backend)))
