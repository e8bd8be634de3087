"""Sends a probe to every node, and waits no longer than it may take.

A node that does not answer is named, and is not asked again: it holds nothing up.
"""

from __future__ import annotations

import importlib
import os
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seedbed.cluster.doctor.check import Answer, Facts, Finding, Node, Scope, Visit, refusal
from seedbed.errors import SeedbedError
from seedbed.storage.retry import retrying_for

ERROR = "error"  # in what comes back: words for what the probe raised
GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd")  # NVIDIA's driver makes the first, AMD's the other


def on_nodes(
    module: str, nodes: Sequence[Node], asked: dict[str, Any], given: Facts, seconds: float,
    with_gpus: bool,
) -> list[Answer | Finding]:  # fmt: skip
    """What `module.CHECK.probe` finds on each node of the Ray cluster that is joined."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # Of no module: it is sent as it is, so that a node without the package can say so.
    def visit(asked: dict[str, Any], node: str, given: Facts) -> Any:
        import importlib

        try:
            return importlib.import_module("seedbed.cluster.doctor.probing").probe(
                module, asked, node, given
            )
        except Exception as error:
            return {"error": (f"{type(error).__name__}: {error}", "")}

    task = ray.remote(num_cpus=0, max_retries=0)(visit)
    sent, flying = time.time(), {}
    for node in nodes:
        near = NodeAffinitySchedulingStrategy(node.id, soft=False)
        gpus = node.gpus if with_gpus else 0
        remote = task.options(scheduling_strategy=near, num_gpus=gpus)
        flying[remote.remote(asked, node.id, dict(given))] = node
    found: list[Answer | Finding] = []
    until = time.monotonic() + seconds
    while flying and (left := until - time.monotonic()) > 0:
        ready, _ = ray.wait(list(flying), num_returns=1, timeout=left)
        received = time.time()
        for reference in ready:
            node = flying.pop(reference)
            try:
                facts = ray.get(reference)
            except Exception as error:  # the node, or the probe's process, is gone
                lines = str(error).strip().splitlines() or [type(error).__name__]
                facts = {ERROR: (lines[-1][:300], "")}
            found.append(_answer(node, facts, sent, received))
    for reference, node in flying.items():
        ray.cancel(reference, force=True)
        found.append(late(node, seconds))
    return found


def here(
    module: str, nodes: Sequence[Node], asked: dict[str, Any], given: Facts, seconds: float,
    with_gpus: bool,
) -> list[Answer | Finding]:  # fmt: skip
    """The same on this machine alone, without Ray."""
    (node,) = nodes
    facts: list[Facts] = []

    def work() -> None:
        try:
            facts.append(probe(module, asked, node.id, given))
        except Exception as error:
            facts.append({ERROR: (f"{type(error).__name__}: {error}", "")})

    sent = time.time()
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    return [_answer(node, facts[0], sent, time.time()) if facts else late(node, seconds)]


def probe(module: str, asked: dict[str, Any], node: str, given: Facts) -> Facts:
    """Run the probe of the check that is declared in `module`."""
    check = importlib.import_module(module).CHECK
    try:
        with retrying_for(check.seconds / 3):
            found: Facts = check.probe(Visit(Scope(**asked), node, given))
            return found
    except SeedbedError as error:
        said = refusal(error)
        return {ERROR: (said.what, said.mend)}


def _answer(node: Node, facts: Facts, sent: float, received: float) -> Answer | Finding:
    if ERROR in facts:
        what, mend = facts[ERROR]
        return Finding("bad", f"{node.name}: {what}", mend or "see the node's logs")
    return Answer(node, facts, sent, received)


def late(node: Node, seconds: float) -> Finding:
    """What to say of a node that did not answer."""
    return Finding(
        "bad",
        f"{node.name} gave no answer in {seconds:g} s",
        f"look at the node (its logs, `ray status`, dmesg), or drain it: ray drain-node {node.id}"
        if node.id
        else "look at what this machine waits for",
        silent=node.id,
    )


def nodes_of_cluster() -> list[Node]:
    """The nodes of the cluster that is joined, the head first."""
    import ray

    free = ray._private.state.available_resources_per_node()
    alive = [node for node in ray.nodes() if node["Alive"]]
    alive.sort(key=lambda node: "node:__internal_head__" not in node["Resources"])
    marks = short([node["NodeID"] for node in alive])
    return [
        Node(
            id=node["NodeID"],
            name=f"{node['NodeManagerAddress']} ({mark})",
            address=node["NodeManagerAddress"],
            resources=node["Resources"],
            free=free.get(node["NodeID"], {}),
        )
        for node, mark in zip(alive, marks, strict=True)
    ]


def short(ids: Sequence[str]) -> list[str]:
    """The first digits of each, or the last ones where those tell them apart and these do not."""
    first, last = [id[:6] for id in ids], [id[-6:] for id in ids]
    return last if len(set(first)) < len(set(last)) else first


def this_machine() -> Node:
    """This machine, as if it were a node."""
    count = 0
    if any(Path(device).exists() for device in GPU_DEVICES):
        import torch

        count = torch.cuda.device_count()
    has = {"CPU": float(os.cpu_count() or 1), "GPU": float(count)}
    return Node("", socket.gethostname(), resources=has, free=has)


def plain(asked: Scope) -> dict[str, Any]:
    """As it is sent: a node without the package could not read it otherwise."""
    return asdict(asked)
