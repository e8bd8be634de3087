"""Where the tasks that read a worker's data run."""

from __future__ import annotations

from typing import Any

import ray
from ray._private.state import available_resources_per_node
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


def near_here() -> dict[str, Any]:
    """Options of a worker's next task: on its node while that has a free core, for what is rendered
    is read here, and by default tasks are spread over all nodes.

    Beyond that nothing is said of a place. Ray tells its autoscaler of no task that prefers a node,
    even where it may run on another: one that waits for a core would start no node, for ever.
    """
    here = ray.get_runtime_context().get_node_id()
    if available_resources_per_node().get(here, {}).get("CPU", 0.0) < 1:
        return {}
    # What is free may be taken by now, and be free elsewhere.
    near = NodeAffinitySchedulingStrategy(here, soft=True, _spill_on_unavailable=True)
    return {"scheduling_strategy": near}
