"""`clusters/local.yaml`, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from seedbed.errors import ResourceError, nearest

SCALING = (
    "cluster_name",
    "max_workers",
    "idle_timeout_minutes",
    "head_node_type",
    "available_node_types",
)
SERVERS: Mapping[str, tuple[str, ...]] = {
    "ray": ("port", "dashboard"),
    "s3": ("port", "bucket"),
    "postgres": ("port",),
    "mlflow": ("port", "workers", "pool_size", "max_overflow"),
}


@dataclass(frozen=True)
class LocalConfig:
    """How the nodes scale, what the servers are, and the environment of every job."""

    scaling: Mapping[str, Any]
    servers: Mapping[str, Mapping[str, Any]]
    environment: Mapping[str, str]

    @property
    def bucket(self) -> str:
        return str(self.servers["s3"]["bucket"])

    @property
    def job_environment(self) -> dict[str, str]:
        return {n: str(v).format(bucket=self.bucket) for n, v in self.environment.items()}

    def on_free_ports(self) -> LocalConfig:
        """The same beside another one: every port is a free one."""
        free = {"port": 0, "dashboard": 0}
        servers = {
            name: {key: free.get(key, value) for key, value in one.items()}
            for name, one in self.servers.items()
        }
        return replace(self, servers=servers)

    def idle_after(self, minutes: float) -> LocalConfig:
        """The same with nodes that are ended when they were idle for so long."""
        return replace(self, scaling={**self.scaling, "idle_timeout_minutes": minutes})

    def with_environment(self, **changes: str) -> LocalConfig:
        return replace(self, environment={**self.environment, **changes})


def read(path: Path) -> LocalConfig:
    """Raises ResourceError where a key is unknown or missing."""
    found = yaml.safe_load(path.read_text())
    _check(path, found, (*SCALING, "servers", "environment"), "")
    _check(path, found["servers"], tuple(SERVERS), "servers.")
    for name, keys in SERVERS.items():
        _check(path, found["servers"][name], keys, f"servers.{name}.")
    types = found["available_node_types"]
    if found["head_node_type"] not in types:
        raise ResourceError(
            f"{path} has no node type '{found['head_node_type']}'",
            why="head_node_type names one of available_node_types",
            mend=nearest(found["head_node_type"], types),
        )
    return LocalConfig(
        scaling={key: found[key] for key in SCALING},
        servers=found["servers"],
        environment=found["environment"],
    )


def _check(path: Path, found: Any, known: tuple[str, ...], place: str) -> None:
    keys = set(found) if isinstance(found, dict) else set()
    for key in sorted(keys - set(known)):
        raise ResourceError(
            f"{path} states '{place}{key}'", why="nothing reads it", mend=nearest(key, known)
        )
    for key in known:
        if key not in keys:
            raise ResourceError(
                f"{path} does not state '{place}{key}'", mend="copy it from clusters/local.yaml"
            )
