"""What a cluster's autoscaler may start, read where the autoscaler itself reads it.

Ray's open-source autoscaler tells the cluster nothing of its limits (its service has a message for
them, `ReportClusterConfig`, which only other autoscalers send). So what the autoscaler reads is
read again, on the head: the file that it was started with, or under KubeRay the RayCluster that
Kubernetes keeps.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

ANY_NUMBER = 1_000_000  # where a type has no limit
HEAD_SECONDS = 60.0  # within which the head answers
LAUNCHED = Path("~/ray_bootstrap_config.yaml")  # what `ray up` starts an autoscaler with
POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class NodeType:
    """Nodes that an autoscaler may start: what each has, and how many there can be at a time.

    `instance` is the provider's name of such a machine, where the autoscaler's file says it, and
    `spot` whether it is never launched but as one that the provider may take back, at that price.
    `labels` are those of its nodes.
    """

    name: str
    resources: Mapping[str, float]
    most: int
    instance: str = ""
    spot: bool = False
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Scaling:
    """What an autoscaler may start: of each type, and nodes of all types together."""

    node_types: tuple[NodeType, ...] = ()
    max_workers: int = 0

    def has_room(self, present: Sequence[str]) -> bool:
        """Whether it may start another node with a core, where there are nodes of the types
        `present`, a name for each node."""
        there = Counter(name for name in present if name)
        return there.total() < self.max_workers and any(
            there[one.name] < one.most
            for one in self.node_types
            if one.resources.get("CPU", 0) >= 1
        )


def scaling() -> Scaling | None:
    """Of the cluster that this process is connected to; None without an autoscaler.

    Raises whatever Ray's own readers raise.
    """
    reported = _reported()
    if reported is not None:
        return reported
    head = next((n for n in ray.nodes() if "node:__internal_head__" in n["Resources"]), None)
    if head is None:
        return None
    context = ray.get_runtime_context()
    if head["NodeID"] == context.get_node_id():
        return of_monitor(context.gcs_address)
    there = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        head["NodeID"], soft=False
    )
    task = ray.remote(num_cpus=0, scheduling_strategy=there)(of_monitor)
    found: Scaling | None = ray.get(task.remote(context.gcs_address), timeout=HEAD_SECONDS)
    return found


def present_nodes() -> list[tuple[str, Mapping[str, float]]]:
    """The nodes that are there: each one's type ("" for the head), and its resources."""
    nodes: list[tuple[str, Mapping[str, float]]] = []
    for node in _alive():
        resources = dict(node.total_resources)
        is_head = "node:__internal_head__" in resources
        nodes.append(("" if is_head else node.ray_node_type_name, resources))
    return nodes


def node_type_of(node: str) -> str:
    """The type of the node of this id, as Ray prints it; "" of one that is not there."""
    return next((str(one.ray_node_type_name) for one in _alive() if one.node_id.hex() == node), "")


def _alive() -> list[Any]:
    """What Ray says of each node that is there."""
    from ray.autoscaler.v2.sdk import get_cluster_resource_state
    from ray.core.generated.autoscaler_pb2 import NodeStatus

    client = ray._raylet.GcsClient(address=ray.get_runtime_context().gcs_address)
    states = get_cluster_resource_state(client).node_states
    return [node for node in states if node.status != NodeStatus.DEAD]


def of_monitor(gcs_address: str) -> Scaling | None:
    """What the autoscaler that runs on this machine for the Ray at `gcs_address` may start."""
    config = _of_file(gcs_address) or _of_kuberay()
    return None if config is None else of_config(config)


def of_config(config: Any) -> Scaling:
    """Of Ray's own AutoscalingConfig, whichever of its readers has made it."""
    head = config.get_head_node_type()
    node_types = []
    # Others than Ray's own, such as `aws_nodes`, may launch on demand what is not there as spot.
    falls_back = config.get_provider_config().get("type") == "external"
    store = _stated_store(config.get_worker_start_ray_commands())
    for name, one in (config.get_node_type_configs() or {}).items():
        # Ray adds the head itself to how many there may be of its type.
        most = one.max_worker_nodes - (name == head)
        if most > 0:
            instance, spot = _machine(config.get_node_type_specific_config(name, "node_config"))
            labels = tuple(sorted((one.labels or {}).items()))
            resources = store | dict(one.resources)
            node_types.append(
                NodeType(name, resources, most, instance, spot and not falls_back, labels)
            )
    limit = config.get_max_num_worker_nodes()
    return Scaling(tuple(node_types), sum(t.most for t in node_types) if limit is None else limit)


def _stated_store(commands: Sequence[str]) -> dict[str, float]:
    """The object store that nodes are started with, as a resource; nothing where Ray chooses it."""
    found = re.findall(r"--object-store-memory[=\s]+['\"]?(\d+)", " ".join(commands))
    return {"object_store_memory": float(found[-1])} if found else {}


def _of_file(gcs_address: str) -> Any:
    """By the file that the autoscaler's process was started with; None where there is none."""
    from ray.autoscaler.v2.instance_manager.config import FileConfigReader

    file = _monitor_file(gcs_address)
    return None if file is None else FileConfigReader(str(file)).get_cached_autoscaling_config()


def _of_kuberay() -> Any:
    """By the RayCluster of this pod, as KubeRay's autoscaler in the container beside this one reads
    it; None where this is no pod of KubeRay's, or its cluster does not scale."""
    name = os.environ.get("RAY_CLUSTER_NAME")
    if not name or not os.environ.get("KUBERNETES_SERVICE_HOST"):
        return None
    from ray.autoscaler._private.kuberay.autoscaling_config import AutoscalingConfigProducer
    from ray.autoscaler.v2.instance_manager.config import KubeRayConfigReader

    namespace = os.environ.get("RAY_CLUSTER_NAMESPACE") or POD_NAMESPACE.read_text().strip()
    producer = AutoscalingConfigProducer(name, namespace)
    found = producer.kubernetes_api_client.get(f"rayclusters/{name}")
    if not found["spec"].get("enableInTreeAutoscaling"):
        return None
    return KubeRayConfigReader(producer).get_cached_autoscaling_config()


def _machine(node_config: Mapping[str, Any] | None) -> tuple[str, bool]:
    """The machine that a provider is asked for (AWS, Google), and whether it may take it back."""
    config = node_config or {}
    market = config.get("InstanceMarketOptions", {}).get("MarketType")
    scheduling = config.get("scheduling") or {}
    if not isinstance(scheduling, Mapping):  # Ray's older form for Google is a list
        scheduling = dict(item for part in scheduling for item in part.items())
    spot = market == "spot" or scheduling.get("provisioningModel") == "SPOT"
    spot = spot or bool(scheduling.get("preemptible"))
    return str(config.get("InstanceType") or config.get("machineType") or ""), spot


def _reported() -> Scaling | None:
    """What an autoscaler has told the cluster, which is what Ray's own libraries go by."""
    config: Any = ray._private.state.state.get_cluster_config()
    if config is None or not config.node_group_configs:
        return None
    node_types = []
    for group in config.node_group_configs:
        most = ANY_NUMBER if group.max_count < 0 else group.max_count
        if most:
            node_types.append(NodeType(group.name, dict(group.resources), most))
    return Scaling(tuple(node_types), sum(one.most for one in node_types))


def _monitor_file(gcs_address: str) -> Path | None:
    """The file that the autoscaler's process was started with, by its command line.

    Raises RuntimeError where `ray up` has started one on this machine, and it has ended: Ray starts
    none in its place.
    """
    found, launched = dict(_monitors()), LAUNCHED.expanduser()
    if launched.exists() and launched not in found.values():
        raise RuntimeError(
            f"the autoscaler of {LAUNCHED} has ended: no node is started or ended any more, and "
            "those that are there are paid for; `ray up` with the cluster's file starts it again"
        )
    return found.get(gcs_address.rpartition(":")[2])


def _monitors() -> Iterator[tuple[str, Path]]:
    """Of each autoscaler's process on this machine the port of its Ray, and its file."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = process.joinpath("cmdline").read_bytes().decode(errors="replace").split("\0")
            options = dict(
                word.split("=", 1) for word in words if word.startswith("--") and "=" in word
            )
            named, ray_at = options.get("--autoscaling-config"), options.get("--gcs-address")
            if named and ray_at:
                place = (process / "cwd").readlink() / Path(named).expanduser()
                yield ray_at.rpartition(":")[2], place
        except OSError:  # it has ended meanwhile, or is another user's
            continue
