"""AWS for Ray's autoscaler: spot instances where there are some, on demand where there are none.

A cluster's YAML names it:

    provider: {type: external, module: seedbed.cluster.aws_nodes.AwsNodes, ...}

Where AWS has no capacity, Ray's autoscaler (2.60) asks for a node of the same type again and again:
it turns to another type only where an instance came and never ran. So a second node type, on
demand, would not be asked for. Instead the node that cannot be had as a spot instance is launched
without that mark.
"""

from __future__ import annotations

import logging
from typing import Any

from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler.node_launch_exception import NodeLaunchException

# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
NO_SPOT = frozenset(
    {
        "InsufficientInstanceCapacity",
        "MaxSpotInstanceCountExceeded",
        "SpotMaxPriceTooLow",
        "UnfulfillableCapacity",
    }
)
MARK = "InstanceMarketOptions"

logger = logging.getLogger(__name__)


class AwsNodes(AWSNodeProvider):
    """Ray's own provider for AWS, but that no node is waited for because it would be cheaper."""

    def create_node(
        self, node_config: dict[str, Any], tags: dict[str, str], count: int
    ) -> dict[str, Any]:
        """Launch `count` instances, in any zone; those by their ids."""
        if MARK not in node_config:
            return dict(super().create_node(node_config, tags, count))
        why = "AWS has no more of them"
        try:
            nodes = dict(super().create_node(node_config, tags, count))
        except NodeLaunchException as error:
            if error.category not in NO_SPOT:
                raise
            nodes, why = {}, f"{error.category}: {error.description}"
        left = count - len(nodes)  # AWS launches what it has of what was asked for
        if left:
            logger.warning(f"{left} x {node_config['InstanceType']} on demand, not spot: {why}")
            on_demand = {name: value for name, value in node_config.items() if name != MARK}
            nodes |= super().create_node(on_demand, tags, left)
        return nodes
