"""gcp.yaml. Oracle: the discovery document of Compute Engine, and Google's table of machines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import googleapiclient
import pytest
from tests.clusters.launcher import read, workers

DOCUMENTS = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
DOCUMENT = json.loads((DOCUMENTS / "compute.v1.json").read_text())
# CPUs, GiB of memory and GPUs: https://cloud.google.com/compute/docs/accelerator-optimized-machines
# and https://cloud.google.com/compute/docs/general-purpose-machines, 2026-11.
MACHINES = {
    "n2-standard-8": (8, 32, None, 0),
    "n2-standard-32": (32, 128, None, 0),
    "g2-standard-16": (16, 64, "L4", 1),
    "g2-standard-96": (96, 384, "L4", 8),
    "a2-ultragpu-1g": (12, 170, "A100", 1),
    "a2-ultragpu-8g": (96, 1360, "A100", 8),
    "a3-highgpu-1g": (26, 234, "H100", 1),
    "a3-highgpu-8g": (208, 1872, "H100", 8),
}
PYTHON = {"string": str, "boolean": bool, "integer": int}


def wrong(value: Any, schema: dict[str, Any], where: str = "") -> list[str]:
    """What Compute Engine does not know of a value."""
    if "$ref" in schema:
        schema = DOCUMENT["schemas"][schema["$ref"]]
    kind = schema["type"]
    if kind == "array":
        if not isinstance(value, list):
            return [f"{where} is no list"]
        return [word for one in value for word in wrong(one, schema["items"], where)]
    if kind == "object":
        if not isinstance(value, dict):
            return [f"{where} is no object"]
        known = schema.get("properties", {})
        if "additionalProperties" in schema:  # names are free
            known = dict.fromkeys(value, schema["additionalProperties"])
        return [
            word
            for name, one in value.items()
            for word in (
                wrong(one, known[name], f"{where}.{name}")
                if name in known
                else [f"{where}.{name} is unknown"]
            )
        ]
    if kind == "string" and schema.get("format") == "int64":
        return [] if isinstance(value, int | str) else [f"{where} is no number"]
    if not isinstance(value, PYTHON[kind]):
        return [f"{where} is no {kind}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{where} is none of {schema['enum']}"]
    return []


def all_wrong(config: dict[str, Any]) -> list[str]:
    instance = DOCUMENT["schemas"]["Instance"]
    types = config["available_node_types"].items()
    return [word for name, node in types for word in wrong(node["node_config"], instance, name)]


def test_compute_engine_knows_every_field() -> None:
    assert all_wrong(read("gcp.yaml")) == []


def typo(node: dict[str, Any]) -> None:
    node["machinetype"] = node.pop("machineType")


def old_form(node: dict[str, Any]) -> None:
    node["scheduling"] = [{"preemptible": True}]  # as Ray's defaults have it


def other_model(node: dict[str, Any]) -> None:
    node["scheduling"] = {"provisioningModel": "PREEMPTIBLE"}


@pytest.mark.parametrize(
    ("break_it", "word"),
    [
        (typo, "data.machinetype is unknown"),
        (old_form, "data.scheduling is no object"),
        (other_model, "data.scheduling.provisioningModel is none of"),
    ],
)
def test_a_broken_copy_is_refused(break_it: Callable[[dict[str, Any]], None], word: str) -> None:
    config = read("gcp.yaml")
    break_it(config["available_node_types"]["data"]["node_config"])
    assert any(one.startswith(word) for one in all_wrong(config))


def resources_of(machine: str) -> dict[str, int]:
    cpus, gib, kind, gpus = MACHINES[machine]
    found = {"CPU": cpus, "memory": int(0.7 * gib * 2**30)}
    return found if kind is None else {**found, "GPU": gpus, f"accelerator_type:{kind}": 1}


def test_what_a_node_type_has_is_what_its_machine_has() -> None:
    config = read("gcp.yaml")
    for _, node in workers(config):
        assert node["resources"] == resources_of(node["node_config"]["machineType"])
    head = config["available_node_types"]["head"]
    most = resources_of(head["node_config"]["machineType"])
    assert head["resources"]["memory"] < most["memory"]


def test_workers_are_spot_and_gone_when_they_end_and_the_head_is_on_demand() -> None:
    config = read("gcp.yaml")
    assert "scheduling" not in config["available_node_types"]["head"]["node_config"]
    for _, node in workers(config):
        scheduling = node["node_config"]["scheduling"]
        assert scheduling["provisioningModel"] == "SPOT"
        assert scheduling["instanceTerminationAction"] == "DELETE"


def test_no_disk_outlives_its_instance() -> None:
    for node in read("gcp.yaml")["available_node_types"].values():
        disks = node["node_config"]["disks"]
        assert disks and all(disk["autoDelete"] is True for disk in disks)
