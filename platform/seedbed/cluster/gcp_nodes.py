"""Google's Compute Engine for Ray's autoscaler: spot where there is some, else on demand.

As `aws_nodes`, which says why. A cluster's YAML names it:

    provider: {type: external, module: seedbed.cluster.gcp_nodes.GcpNodes, ...}
"""

from __future__ import annotations

import logging
from typing import Any

from googleapiclient.errors import HttpError
from ray.autoscaler._private.gcp import config as gcp
from ray.autoscaler._private.gcp.node import GCPNodeType
from ray.autoscaler._private.gcp.node_provider import GCPNodeProvider

# https://cloud.google.com/compute/docs/troubleshooting/troubleshooting-vm-creation
NO_SPOT = frozenset(
    {
        "ZONE_RESOURCE_POOL_EXHAUSTED",
        "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS",
        "QUOTA_EXCEEDED",
        "quotaExceeded",
    }
)
OF_SPOT = ("provisioningModel", "instanceTerminationAction")

logger = logging.getLogger(__name__)


class GcpNodes(GCPNodeProvider):
    """Ray's own provider for Compute Engine, with accounts that the YAML names."""

    @staticmethod
    def bootstrap_config(cluster_config: dict[str, Any]) -> dict[str, Any]:
        """As Ray's own, but that no account is made that may administer the whole project."""
        config = {**cluster_config, "head_node": {}}
        _, _, compute, _ = gcp.construct_clients_from_provider_config(config["provider"])
        config = gcp._configure_key_pair(config, compute)
        return dict(gcp._configure_subnet(config, compute))

    def create_node(
        self, base_config: dict[str, Any], tags: dict[str, str], count: int
    ) -> dict[str, Any]:
        """Launch `count` instances; what became of each, by its name.

        One after another: of several at once, an error would not say which of them are there.
        """
        self._delete_stopped()
        nodes: dict[str, Any] = {}
        for _ in range(count):
            try:
                nodes |= super().create_node(base_config, tags, 1)
            except Exception as error:  # Ray raises what Google answered as a bare Exception
                scheduling = base_config.get("scheduling", {})
                missing = codes(error) & NO_SPOT
                if scheduling.get("provisioningModel") != "SPOT" or not missing:
                    raise
                machine = base_config["machineType"]
                logger.warning(f"{machine} on demand, not spot: {', '.join(sorted(missing))}")
                kept = {name: value for name, value in scheduling.items() if name not in OF_SPOT}
                nodes |= super().create_node({**base_config, "scheduling": kept}, tags, 1)
        return nodes

    def _delete_stopped(self) -> None:
        """Delete what has shut itself down, as a worker does that has lost its head.

        Google keeps such an instance, and it is paid for by its disk; Ray looks at none that is
        stopped.
        """
        if self.cache_stopped_nodes:
            return
        instances = self.resources[GCPNodeType.COMPUTE]
        for node in instances.list_instances({}, is_terminated=True):
            logger.warning(f"{node['name']} has shut itself down, and is deleted with its disk")
            instances.delete_instance(node["name"], wait_for_operation=False)


def codes(error: Exception) -> set[str]:
    """What Google calls an error: of a request that was refused, or of an operation that failed."""
    if isinstance(error, HttpError):
        details = error.error_details
        return {str(one.get("reason")) for one in details if isinstance(one, dict)}
    answer = error.args[0] if error.args else None
    errors = answer.get("errors", []) if isinstance(answer, dict) else []
    return {str(one.get("code")) for one in errors}
