"""Ray's autoscaler beside a provider, without a Ray."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ray.autoscaler._private.providers import _get_node_provider_cls
from ray.autoscaler.v2.instance_manager.instance_manager import InstanceManager
from ray.autoscaler.v2.instance_manager.instance_storage import InstanceStorage
from ray.autoscaler.v2.instance_manager.node_provider import NodeProviderAdapter
from ray.autoscaler.v2.instance_manager.reconciler import Reconciler
from ray.autoscaler.v2.instance_manager.storage import InMemoryStorage
from ray.autoscaler.v2.instance_manager.subscribers.cloud_instance_updater import (
    CloudInstanceUpdater,
)
from ray.autoscaler.v2.instance_manager.subscribers.cloud_resource_monitor import (
    CloudResourceMonitor,
)
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler
from ray.autoscaler.v2.utils import ResourceRequestUtil
from ray.core.generated.autoscaler_pb2 import ClusterResourceState, NodeState, NodeStatus
from tests.clusters.launcher import read_by_autoscaler

TAGS = {
    "ray-node-type": "worker",
    "ray-node-name": "ray-seedbed-worker",
    "ray-launch-config": "x",
    "ray-user-node-type": "a10g-1",
}


class Autoscaler:
    """Ray's own, of a cluster whose tasks ask for `asked`, one of each; without a Ray."""

    def __init__(self, config: dict[str, Any], asked: dict[str, float], tmp_path: Path) -> None:
        self.config = read_by_autoscaler(config)
        provider = _get_node_provider_cls(config["provider"])(config["provider"], tmp_path.name)
        head = config["available_node_types"]["head"]
        tags = {**TAGS, "ray-node-type": "head", "ray-user-node-type": "head"}
        (self.head,) = provider.create_node(head["node_config"], tags, 1)
        self.provider = NodeProviderAdapter(provider, self)  # it reads the configuration from here
        self.monitor = CloudResourceMonitor()
        self.manager = InstanceManager(
            InstanceStorage("test", InMemoryStorage()),
            [CloudInstanceUpdater(self.provider), self.monitor],
        )
        self.scheduler = ResourceDemandScheduler(None)
        requests = ResourceRequestUtil.group_by_count([ResourceRequestUtil.make(asked)])
        running = NodeState(
            node_id=b"head",
            instance_id=self.head,
            ray_node_type_name="head",
            status=NodeStatus.RUNNING,
            total_resources={**head["resources"], "node:__internal_head__": 1},
            available_resources=head["resources"],
        )
        self.state = ClusterResourceState(pending_resource_requests=requests, node_states=[running])

    def get_cached_autoscaling_config(self) -> Any:
        return self.config

    def step(self) -> None:
        Reconciler.reconcile(
            self.manager,
            self.scheduler,
            self.provider,
            self.monitor,
            self.state,
            self.provider.get_non_terminated(),
            self.config,
            self.provider.poll_errors(),
        )

    def run(self, seconds: float) -> list[str]:
        """The types of the nodes that are there after at most so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.step()
            there = self.provider.get_non_terminated().items()
            if found := [one.node_type for id, one in there if id != self.head]:
                return found
            time.sleep(0.2)
        return []
