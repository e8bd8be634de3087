"""What a cluster has, and what its autoscaler can make of it.

Ray counts what is there: a cluster that scales from nothing would be taken for one without GPUs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ray

from seedbed.cluster.autoscaler import NodeType, Scaling, present_nodes, scaling

COUNTED = {"CPU": "CPU", "GPU": "GPU"}


@dataclass(frozen=True)
class Capacity:
    """The resources of a cluster, `now` and at `most`, by Ray's names.

    `present` are the nodes that are there, the type and the resources of each; `max_workers` limits
    the nodes of all types together. `unknown` says why its autoscaler could not be asked, where it
    has one. `labels` are what Ray is to look for on nodes with GPUs, where not all may be used.
    """

    now: Mapping[str, float]
    most: Mapping[str, float]
    node_types: tuple[NodeType, ...] = ()
    unknown: str = ""
    present: tuple[tuple[str, Mapping[str, float]], ...] = ()
    max_workers: int = 0
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def has(self) -> str:
        """The verb before its resources: it has them, or can have them."""
        return "can have" if self.node_types else "has"

    @property
    def nodes(self) -> list[Mapping[str, float]]:
        """The resources of each that is there, and of each type that can be started."""
        present = [resources for _, resources in self.present]
        return present + [one.resources for one in self.node_types]

    @property
    def scaling(self) -> Scaling | None:
        """What its autoscaler may start: nothing where it has none, None where that is not known"""
        return None if self.unknown else Scaling(self.node_types, self.max_workers)

    @property
    def words(self) -> str:
        said = f"the cluster has {counted(self.now)}"
        if self.node_types:
            said += f" and can have {counted(self.most)} ({self.listing})"
        if silent := [one.name for one in self.node_types if not one.resources.get("memory")]:
            said += (
                f"; caution: {', '.join(silent)} states no memory, and is not started for tasks of "
                "the data, which ask for some"
            )
        if self.unknown:
            said += f"; what its autoscaler could add is not known ({self.unknown})"
        return said

    @property
    def listing(self) -> str:
        """The nodes that its autoscaler can start, a type after the other."""
        return "; ".join(
            f"up to {one.most} x {one.name} of {counted(one.resources)}" for one in self.node_types
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "now": _plain(self.now),
            "most": _plain(self.most),
            "node_types": [
                {"name": one.name, "most": one.most, "resources": dict(one.resources)}
                for one in self.node_types
            ],
        }


def cluster_capacity() -> Capacity:
    """Of the cluster that this process is connected to."""
    now: Mapping[str, float] = ray.cluster_resources()
    present = tuple(("", node["Resources"]) for node in ray.nodes() if node["Alive"])
    try:
        found = scaling()
        if found is None:
            return Capacity(now, now, present=present)
        present = tuple(present_nodes())
        most = at_most(present, found.node_types, found.max_workers)
    except Exception as error:  # it is not Ray's public interface: another version may differ
        unknown = f"{type(error).__name__}: {error}"
        return Capacity(now, now, unknown=unknown, present=present)
    limited = (replace(one, most=min(one.most, found.max_workers)) for one in found.node_types)
    return Capacity(now, most, tuple(limited), present=present, max_workers=found.max_workers)


def at_most(
    present: Sequence[tuple[str, Mapping[str, float]]],
    node_types: Sequence[NodeType],
    max_workers: int,
) -> dict[str, float]:
    """The sum over all nodes when the cluster is as large as it can be.

    `present` are the nodes that are there, their type and their resources. Those of none of
    `node_types` (the head, and what was joined by hand) stay. Of each type there can be as many as
    it says, and `max_workers` of all; where that is too few for all, nodes with GPUs come first,
    then those with CPUs.
    """
    total: dict[str, float] = {}

    def add(resources: Mapping[str, float], count: int) -> None:
        for name, amount in resources.items():
            total[name] = total.get(name, 0.0) + amount * count

    there: dict[str, int] = {one.name: 0 for one in node_types}
    for name, resources in present:
        if name in there:
            there[name] += 1
        else:
            add(resources, 1)
    room = max_workers
    for one in sorted(node_types, key=_size, reverse=True):
        count = max(there[one.name], min(one.most, room))
        room = max(0, room - count)
        add(one.resources, count)
    return total


def counted(resources: Mapping[str, float]) -> str:
    """`8 CPUs and 1 GPU`."""
    parts = [
        f"{resources.get(name, 0):g} {word}{'s' * (resources.get(name, 0) != 1)}"
        for name, word in COUNTED.items()
        if resources.get(name) or name == "CPU"
    ]
    return " and ".join(parts)


def _size(node: NodeType) -> tuple[float, float]:
    return node.resources.get("GPU", 0.0), node.resources.get("CPU", 0.0)


def _plain(resources: Mapping[str, float]) -> dict[str, float]:
    """Without the marks of single nodes, which say nothing of how much there is."""
    return {name: n for name, n in sorted(resources.items()) if not name.startswith("node:")}
