"""Whether GPUs exchange gradients, within a node and between nodes, and how fast."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from seedbed.cluster.doctor.check import Answer, Check, Facts, Finding, Node, Scope, Visit, skipped
from seedbed.errors import ResourceError

PORTS = range(23_000, 24_000)  # away from those of Ray's workers
SLOW = 2e9  # bytes/s: the gradients of 88 M parameters (350 MB) would take a third of a second
SECONDS = 120.0


def prepare(asked: Scope, nodes: Sequence[Node]) -> Facts:
    """The rank of each node's first GPU, their number, and where they meet: on the first node."""
    ranks, world = {}, 0
    for node in nodes:
        ranks[node.id] = (world, node.gpus)
        world += node.gpus
    host = nodes[0].address if nodes else "127.0.0.1"
    return {"ranks": ranks, "world": world, "meet": f"tcp://{host}:{random.choice(PORTS)}"}


def probe(visit: Visit) -> Facts:
    first, count = visit.given["ranks"][visit.node]
    if visit.given["world"] < 2:
        return {}
    return exchanged(visit.given["meet"], first, count, visit.given["world"], "nccl")


def exchanged(meet: str, first: int, count: int, world: int, backend: str) -> dict[str, Any]:
    """Run ranks `first` to `first + count` - 1 of `world`, a process each; what one of them found.

    Raises ResourceError with the last words of one that failed.
    """
    command = [sys.executable, "-m", "seedbed.cluster.doctor.allreduce", meet]
    running = [
        subprocess.Popen(
            [*command, str(first + local), str(local), str(world), backend],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for local in range(count)
    ]
    try:
        ended = [process.communicate(timeout=SECONDS) for process in running]
    finally:
        for process in running:
            process.kill()
    for process, (_, err) in zip(running, ended, strict=True):
        if process.returncode:
            lines = err.strip().splitlines() or ["it said nothing"]
            raise ResourceError(
                "the GPUs could not exchange anything",
                why=lines[-1][:300],
                mend="open all ports between the nodes, and see NCCL_DEBUG=INFO; several networks: "
                "NCCL_SOCKET_IFNAME",
            )
    found: dict[str, Any] = json.loads(ended[0][0])
    return found


def judge(asked: Scope, answers: Sequence[Answer]) -> Sequence[Finding]:
    measured = [answer for answer in answers if answer.facts]
    if not measured:
        return skipped("there are no two free GPUs to exchange anything")
    rate, world = measured[0].facts["bus"], measured[0].facts["world"]
    words = f"{world} GPUs on {len(measured)} nodes sum 256 MB at {rate / 1e9:.1f} GB/s"
    if rate < SLOW:
        mend = "give GPU nodes a fast network (EFA, GPUDirect), or keep --data-parallel in a node"
        return [Finding("caution", words, mend)]
    return [Finding("ok", words)]


CHECK = Check("do GPUs exchange gradients?", judge, probe, prepare, seconds=SECONDS + 30, gpus=True)
