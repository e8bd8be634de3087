"""Nodes for an autoscaler on one machine: raylets that count what their node type says.

Named by an autoscaler's configuration as `seedbed_local.nodes.LocalNodes`; its process is on the
head.
"""

from __future__ import annotations

import os
from typing import Any

from ray._private.ray_constants import PROCESS_TYPE_RAYLET
from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider
from ray.autoscaler.tags import TAG_RAY_USER_NODE_TYPE


class LocalNodes(FakeMultiNodeProvider):
    """Ray's own, but that its nodes know their type, and count their memory themselves.

    One whose raylet has died is gone, as a lost machine is: what is left of it is ended, and the
    autoscaler starts another where it is needed.
    """

    def __init__(self, provider_config: dict[str, Any], cluster_name: str) -> None:
        super().__init__(provider_config, cluster_name)
        head = self._nodes[self._head_node_id]["tags"]
        head[TAG_RAY_USER_NODE_TYPE] = provider_config["head_node_type"]

    def non_terminated_nodes(self, tag_filters: dict[str, str]) -> list[str]:
        with self.lock:
            for node_id in [id for id, kept in self._nodes.items() if _is_lost(kept)]:
                lost = self._nodes.pop(node_id)["node"]
                lost.kill_all_processes(check_alive=False, allow_graceful=False)
        return list(super().non_terminated_nodes(tag_filters))

    def _create_node_with_resources_and_labels(
        self,
        node_config: Any,
        tags: dict[str, str],
        count: int,
        resources: dict[str, float],
        labels: Any,
    ) -> None:
        os.environ["RAY_NODE_TYPE_NAME"] = tags[TAG_RAY_USER_NODE_TYPE]
        own = {name: amount for name, amount in resources.items() if name != "memory"}
        super()._create_node_with_resources_and_labels(node_config, tags, count, own, labels)


def _is_lost(kept: dict[str, Any]) -> bool:
    node = kept.get("node")  # the head has none
    return node is not None and any(
        kind == PROCESS_TYPE_RAYLET for kind, _ in node.dead_processes()
    )
