"""Nodes on Google. Oracle: a small server in place of Compute Engine, asked by Ray's provider."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httplib2
import pytest
from google.auth.credentials import AnonymousCredentials
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient import discovery
from ray.autoscaler._private.gcp import config as gcp
from ray.autoscaler._private.gcp.node import GCPCompute, GCPNodeType
from ray.autoscaler._private.gcp.node_provider import GCPNodeProvider
from tests.clusters.launcher import checked, read
from tests.clusters.test_gcp import DOCUMENT, wrong

from seedbed.cluster.gcp_nodes import GcpNodes


class Zone(BaseHTTPRequestHandler):
    """As much of Compute Engine as launches instances, by its reference of the REST interface."""

    asked: list[dict[str, Any]]
    failing: str  # the code of an error of instances that are spot; "" for none
    stopped: set[str]  # instances of the cluster that have shut themselves down

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body)
        self.answer({"name": f"operation-{len(self.asked) - 1}"})

    def do_DELETE(self) -> None:
        self.stopped.remove(self.path.split("?")[0].rsplit("/", 1)[1])
        self.answer({"name": "operation-of-a-deletion"})

    def do_GET(self) -> None:
        place = self.path.split("?")[0]
        if place.endswith("/instances"):
            return self.answer({"items": [{"name": name} for name in self.listed()]})
        if place.endswith("/projects/my-project"):
            metadata = {"fingerprint": "x"}
            return self.answer({"name": "my-project", "commonInstanceMetadata": metadata})
        return self.answer(self.of_operation())

    def listed(self) -> set[str]:
        """Of the instances those that are asked for, as far as it matters here."""
        (words,) = parse_qs(urlsplit(self.path).query)["filter"]
        assert "(labels.ray-cluster-name = seedbed)" in words
        return self.stopped if "(status = TERMINATED)" in words else set()

    def of_operation(self) -> dict[str, Any]:
        body = self.asked[int(self.path.split("?")[0].rsplit("-", 1)[1])]
        done: dict[str, Any] = {"status": "DONE"}
        if self.failing and body.get("scheduling", {}).get("provisioningModel") == "SPOT":
            done["error"] = {"errors": [{"code": self.failing, "message": "in words"}]}
        return done

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
    handler = type("OneZone", (Zone,), {"asked": [], "failing": "", "stopped": set()})
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


def test_what_has_shut_itself_down_is_deleted_when_a_node_is_launched(
    zone: tuple[type[Zone], GcpNodes],
) -> None:
    """It would be paid for by its disk for ever: Ray lists no instance that is stopped."""
    handler, provider = zone
    handler.stopped = {"ray-seedbed-worker-1-compute", "ray-seedbed-worker-2-compute"}
    assert provider.non_terminated_nodes({}) == []
    assert launched(*zone, count=1) == [True]
    assert handler.stopped == set()


def test_ray_up_makes_no_account_and_gives_nobody_a_role(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, zone: tuple[type[Zone], GcpNodes]
) -> None:
    """Oracle: the clients of accounts and of projects' roles are not there, and any use raises."""
    handler, provider = zone
    compute = provider.resources[GCPNodeType.COMPUTE].resource
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(
        gcp, "construct_clients_from_provider_config", lambda _: (None, None, compute, None)
    )
    config = checked(read("gcp.yaml"))
    found = GcpNodes.bootstrap_config(config)
    assert found["available_node_types"] == config["available_node_types"]
    (asked,) = handler.asked
    assert {one["key"] for one in asked["items"]} == {"ssh-keys"}
    with pytest.raises(AttributeError, match="NoneType"):  # as Ray's own does
        GCPNodeProvider.bootstrap_config(config)
