"""Where the tasks that read a worker's data run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import ray
from ray._private.state import available_resources_per_node, total_resources_per_node
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

# Ray lists what a placement group has of a node beside the node's own resources: once for the
# group, and once more for each of its bundles, with the bundle's number before the group's id.
_GROUP = re.compile("CPU_group_[0-9a-f]{20,}")


def near_here(grows: bool) -> dict[str, Any]:
    """Options of a worker's next task: on its node while that has a free core, for what is rendered
    is read here, and by default tasks are spread over all nodes.

    Beyond that nothing is said of a place. Ray tells its autoscaler of no task that prefers a node,
    even where it may run on another: one that waits for a core would start no node, for ever.

    Where the cluster does not grow (`grows`) and workers hold all its cores, as those of two
    studies that each left one for the data can, a task asks for none. It would wait for ever, and
    the workers, which wait for it, do not compute meanwhile.
    """
    here = ray.get_runtime_context().get_node_id()
    if available_resources_per_node().get(here, {}).get("CPU", 0.0) >= 1:
        # What is free may be taken by now, and be free elsewhere.
        near = NodeAffinitySchedulingStrategy(here, soft=True, _spill_on_unavailable=True)
        return {"scheduling_strategy": near}
    if not grows and not any(map(_core_for_tasks, total_resources_per_node().values())):
        return {"num_cpus": 0}
    return {}


def _core_for_tasks(node: Mapping[str, float]) -> bool:
    """Whether a core of `node`, free or not, is in no placement group."""
    held = sum(amount for name, amount in node.items() if _GROUP.fullmatch(name))
    return node.get("CPU", 0.0) - held >= 1
