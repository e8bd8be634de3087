"""What tests of the cluster launcher's YAML files share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.scheduler import (
    ResourceDemandScheduler,
    SchedulingRequest,
)
from ray.autoscaler.v2.schema import AutoscalerInstance
from ray.autoscaler.v2.utils import ResourceRequestUtil
from ray.core.generated.autoscaler_pb2 import NodeState, NodeStatus
from ray.core.generated.instance_manager_pb2 import Instance, NodeKind

ROOT = Path(__file__).parents[2]
CLUSTERS = ROOT / "clusters"


def read(name: str) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((CLUSTERS / name).read_text())
    return config


def checked(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration as `ray up` takes it. Raises what Ray raises."""
    prepared: dict[str, Any] = prepare_config(deepcopy(config))
    validate_config(prepared)
    return prepared


def workers(config: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The node types that the autoscaler starts, by name."""
    for name, node in config["available_node_types"].items():
        if name != config["head_node_type"]:
            yield name, node


def read_by_autoscaler(config: dict[str, Any]) -> AutoscalingConfig:
    # The files that are to be brought to the nodes are those of whoever calls `ray up`.
    return AutoscalingConfig(checked(config), skip_content_hash=True)


def node_types(config: dict[str, Any]) -> Mapping[str, Any]:
    """The node types as Ray's autoscaler reads them. Raises AssertionError for min > max."""
    types: Mapping[str, Any] = read_by_autoscaler(config).get_node_type_configs()
    return types


def launched_for(config: dict[str, Any], *asked: dict[str, float]) -> Counter[str]:
    """The nodes that Ray's autoscaler starts for tasks that ask for these resources, by type.

    Beside the head, which is there. What no type can give is under "".
    """
    autoscaling = read_by_autoscaler(config)
    head = autoscaling.get_node_type_configs()[config["head_node_type"]]
    requests = [ResourceRequestUtil.make(resources) for resources in asked]
    instance = Instance(
        instance_id="head",
        status=Instance.RAY_RUNNING,
        instance_type=head.name,
        node_kind=NodeKind.HEAD,
        cloud_instance_id="head",
        node_id="head",
    )
    running = NodeState(
        ray_node_type_name=head.name,
        total_resources=head.resources,
        available_resources=head.resources,
        status=NodeStatus.RUNNING,
        instance_id="head",
    )
    reply = ResourceDemandScheduler(None).schedule(
        SchedulingRequest(
            disable_launch_config_check=True,
            node_type_configs=autoscaling.get_node_type_configs(),
            max_num_nodes=autoscaling.get_max_num_nodes(),
            resource_requests=ResourceRequestUtil.group_by_count(requests),
            current_instances=[AutoscalerInstance("head", running, instance)],
        )
    )
    launched = Counter({one.instance_type: one.count for one in reply.to_launch})
    missing = len(reply.infeasible_resource_requests)
    return launched + Counter({"": missing}) if missing else launched
