"""`clusters/local.yaml`. Oracles: Ray's own check of clusters' files, and broken copies."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.monitor import BASE_READONLY_CONFIG
from ray.autoscaler._private.util import validate_config

from seedbed.errors import ResourceError
from seedbed_local.cluster import CHECKOUT
from seedbed_local.config import read

SHIPPED = CHECKOUT / "clusters" / "local.yaml"


def as_ray_reads_it(scaling: dict[str, Any]) -> None:
    provider = {"type": "external", "module": "seedbed_local.nodes.LocalNodes"}
    validate_config({**BASE_READONLY_CONFIG, **copy.deepcopy(scaling), "provider": provider})


def test_ray_takes_the_node_types_and_the_head_has_no_work() -> None:
    config = read(SHIPPED)
    as_ray_reads_it(dict(config.scaling))
    types = config.scaling["available_node_types"]
    assert types[config.scaling["head_node_type"]]["resources"]["CPU"] == 0
    assert all(one["resources"]["memory"] > 0 for one in types.values())
    with pytest.raises(Exception, match="max_worker"):
        as_ray_reads_it({**config.scaling, "max_worker": 3})
    assert config.job_environment["SEEDBED_STORAGE"] == f"s3://{config.bucket}/results"


def test_ports_are_away_from_those_of_rays_workers_and_each_its_own() -> None:
    servers = read(SHIPPED).servers.values()
    ports = [one[name] for one in servers for name in ("port", "dashboard") if name in one]
    assert len(ports) == len(set(ports)) == 5
    assert not [port for port in ports if 10_002 <= port <= 19_999]
    free = read(SHIPPED).on_free_ports().servers.values()
    assert not any(one.get("port") or one.get("dashboard") for one in free)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(enviroment={}), r"states 'enviroment'[\s\S]*'environment'"),
        (lambda c: c["servers"]["s3"].update(buckets="b"), r"states 'servers.s3.buckets'"),
        (lambda c: c["servers"].pop("mlflow"), "does not state 'servers.mlflow'"),
        (lambda c: c.update(head_node_type="heads"), r"no node type 'heads'[\s\S]*'head'"),
    ],
)
def test_a_broken_copy_is_refused_by_name(tmp_path: Path, change: Any, words: str) -> None:
    broken = yaml.safe_load(SHIPPED.read_text())
    change(broken)
    (tmp_path / "local.yaml").write_text(yaml.safe_dump(broken))
    with pytest.raises(ResourceError, match=words):
        read(tmp_path / "local.yaml")
