"""How much of a core workers ask for, so that beside them data tasks find a place on a node.

Ray packs workers onto nodes. Of a core that they leave in parts, some on each node, no task can
have the whole: it would wait for ever, and the workers for what it reads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

DATA_CPUS = 1  # what a cohort's data tasks need beside its workers; without it nothing is read
UNITS = 10_000  # of a core: Ray counts no finer, and rounds


class Cores(NamedTuple):
    """What each worker asks for, and each of the tasks that read its data; at most one core."""

    worker: float = 1.0
    task: float = float(DATA_CPUS)


def cores_of(
    nodes: Sequence[Mapping[str, float]],
    num_workers: int,
    share: int,
    *,
    total: int,
    gpus: bool,
) -> Cores:
    """For cohorts of `num_workers`, each with `share` of the `total` cores of all nodes.

    `nodes` are the kinds of nodes that there are or can be. However many there are of each, and
    however workers are packed on them: where workers with `gpus` have a device each, or are no
    more than all cores, every node keeps a task's cores free, or some node does where tasks and
    workers ask for whole ones.
    """
    whole = num_workers + DATA_CPUS <= share  # data tasks come in bursts, between steps
    worker = 1.0 if whole else (share - DATA_CPUS) / num_workers
    if gpus:
        return _beside_gpus([node for node in nodes if node.get("GPU")], worker)
    if whole:
        return Cores()
    cores = [node["CPU"] for node in nodes if node.get("CPU", 0) >= 1]
    if max(cores, default=total) >= total:  # all on one node
        return Cores(_down(worker))
    # So many that a node holds as many workers as it has cores, and no more.
    worker = _down(max(cores) / (max(cores) + 1)) + 1 / UNITS
    return Cores(worker, _down(min(share, *cores) * (1 - worker)))


def _beside_gpus(nodes: Sequence[Mapping[str, float]], worker: float) -> Cores:
    """With no more workers on a node than it has devices."""
    for node in nodes:
        cpus = node.get("CPU", 0.0)
        left = DATA_CPUS if cpus > DATA_CPUS else cpus / 2
        worker = min(worker, (cpus - left) / node["GPU"])
    worker = _down(worker)
    left_over = [n["CPU"] - n["GPU"] * worker for n in nodes if n.get("CPU")]
    return Cores(worker, _down(min([float(DATA_CPUS), *left_over])))


def _down(cores: float) -> float:
    """As Ray counts them, and no more than they are."""
    return math.floor(cores * UNITS + 1e-6) / UNITS
