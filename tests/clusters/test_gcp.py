"""gcp.yaml. Oracle: the discovery document of Compute Engine, and Google's table of machines."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import googleapiclient
import httplib2
import pytest
from google.auth.credentials import AnonymousCredentials
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient import discovery
from ray.autoscaler._private.gcp.node import GCPCompute, GCPNodeType
from tests.clusters.launcher import read, workers

from seedbed.cluster.gcp_nodes import GcpNodes

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


def test_no_node_has_the_account_that_ray_would_make() -> None:
    for node in read("gcp.yaml")["available_node_types"].values():
        (account,) = node["node_config"]["serviceAccounts"]
        assert account["email"].startswith("seedbed-")


class Zone(BaseHTTPRequestHandler):
    """As much of Compute Engine as launches instances, by its reference of the REST interface."""

    asked: list[dict[str, Any]]
    failing: str  # the code of an error of instances that are spot; "" for none

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body)
        self.answer({"name": f"operation-{len(self.asked) - 1}"})

    def do_GET(self) -> None:
        body = self.asked[int(self.path.split("?")[0].rsplit("-", 1)[1])]
        done: dict[str, Any] = {"status": "DONE"}
        if self.failing and body.get("scheduling", {}).get("provisioningModel") == "SPOT":
            done["error"] = {"errors": [{"code": self.failing, "message": "in words"}]}
        self.answer(done)

    def answer(self, value: dict[str, Any]) -> None:
        text = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def zone() -> Iterator[tuple[type[Zone], GcpNodes]]:
    """A zone, and the provider as Ray's autoscaler has it there."""
    handler = type("OneZone", (Zone,), {"asked": [], "failing": ""})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        http = AuthorizedHttp(AnonymousCredentials(), http=httplib2.Http())
        compute = discovery.build_from_document(
            DOCUMENT,
            http=http,
            client_options={"api_endpoint": f"http://127.0.0.1:{server.server_port}"},
        )
        provider = GcpNodes.__new__(GcpNodes)
        provider.lock = threading.RLock()
        provider.cache_stopped_nodes = False
        provider.resources = {
            GCPNodeType.COMPUTE: GCPCompute(compute, "my-project", "us-central1-a", "seedbed")
        }
        yield handler, provider
        server.shutdown()


def launched(zone: type[Zone], provider: GcpNodes, count: int) -> list[bool]:
    """Of each instance that was asked for, whether as spot."""
    node = read("gcp.yaml")["available_node_types"]["l4-1"]["node_config"]
    tags = {"ray-node-name": "ray-seedbed-worker", "ray-node-type": "worker"}
    provider.create_node(node, tags, count)
    return [body.get("scheduling", {}).get("provisioningModel") == "SPOT" for body in zone.asked]


def test_what_can_be_had_as_spot_is_spot(zone: tuple[type[Zone], GcpNodes]) -> None:
    assert launched(*zone, count=2) == [True, True]


def test_what_cannot_be_had_as_spot_is_launched_on_demand(
    zone: tuple[type[Zone], GcpNodes],
) -> None:
    zone[0].failing = "ZONE_RESOURCE_POOL_EXHAUSTED"
    assert launched(*zone, count=2) == [True, False, True, False]
    spot, on_demand = zone[0].asked[:2]
    assert wrong(on_demand, DOCUMENT["schemas"]["Instance"]) == []
    assert on_demand["scheduling"] == {"onHostMaintenance": "TERMINATE", "automaticRestart": False}
    assert spot["serviceAccounts"] == on_demand["serviceAccounts"]


def test_what_is_wrong_is_not_launched_on_demand(zone: tuple[type[Zone], GcpNodes]) -> None:
    zone[0].failing = "RESOURCE_NOT_FOUND"
    with pytest.raises(Exception, match="RESOURCE_NOT_FOUND"):
        launched(*zone, count=1)
    assert len(zone[0].asked) == 1
