"""Where the tasks that read a worker's data run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import ray
from ray._private.state import available_resources_per_node, total_resources_per_node
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from seedbed.cluster.autoscaler import Scaling, present_nodes

# Ray lists what a placement group has of a node beside the node's own resources: once for the
# group, and once more for each of its bundles, with the bundle's number before the group's id.
_GROUP = re.compile("CPU_group_[0-9a-f]{20,}")


def near_here(scaling: Scaling | None, cpus: float = 1.0) -> dict[str, Any]:
    """Options of a worker's next task, of `cpus`: on its node while that has them free, for what is
    rendered is read here, and by default tasks are spread over all nodes.

    Beyond that nothing is said of a place. Ray tells its autoscaler of no task that prefers a node,
    even where it may run on another: one that waits for a core would start no node, for ever.

    Where workers hold so much of all nodes, as those of two studies that each left one core for the
    data can, and the autoscaler can start no other (`scaling`; None where that is not known), a
    task asks for no core. It would wait for ever, and the workers, which wait for it, do not
    compute meanwhile.
    """
    here = ray.get_runtime_context().get_node_id()
    if _cpus(available_resources_per_node().get(here, {})) >= cpus:
        # What is free may be taken by now, and be free elsewhere.
        near = NodeAffinitySchedulingStrategy(here, soft=True, _spill_on_unavailable=True)
        return {"scheduling_strategy": near}
    nodes = total_resources_per_node().values()
    if not any(_left_by_groups(node) >= cpus for node in nodes) and not _grows(scaling):
        return {"num_cpus": 0}
    return {}


def _left_by_groups(node: Mapping[str, float]) -> float:
    """CPUs of `node`, free or not, that are in no placement group."""
    held = sum(amount for name, amount in node.items() if _GROUP.fullmatch(name))
    return round(_cpus(node) - held, 4)  # Ray counts in ten-thousandths


def _cpus(node: Mapping[str, float]) -> float:
    return node.get("CPU", 0.0)


def _grows(scaling: Scaling | None) -> bool:
    """Whether the autoscaler may start a node beside those that there are now."""
    if scaling is None:
        return True
    return bool(scaling.node_types) and scaling.has_room([name for name, _ in present_nodes()])
