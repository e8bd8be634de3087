"""Node types under KubeRay. Oracle: a RayCluster as Kubernetes' API gives it, counted by hand.

The API is a server of ours on this machine; what asks it is Ray's own reader.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ASK = """
import json
from seedbed.cluster.autoscaler import of_monitor
found = of_monitor("127.0.0.1:6379")
print(json.dumps(found and [found.max_workers, [
    [one.name, dict(one.resources), one.most, one.instance, one.spot] for one in found.node_types
]]))
"""
PATH = "/apis/ray.io/v1/namespaces/lab/rayclusters/seedbed"


def group(name: str, most: int, **limits: str) -> dict[str, Any]:
    container = {"name": "ray", "image": "ray", "resources": {"limits": limits}}
    return {
        "groupName": name,
        "minReplicas": 0,
        "maxReplicas": most,
        "rayStartParams": {},
        "template": {"spec": {"containers": [container]}},
    }


def cluster(*groups: dict[str, Any], scales: bool = True) -> dict[str, Any]:
    head = group("headgroup", 0, cpu="4", memory="16Gi")
    return {
        "metadata": {"name": "seedbed", "namespace": "lab"},
        "spec": {
            "enableInTreeAutoscaling": scales,
            "headGroupSpec": {**head, "rayStartParams": {"num-cpus": "0"}},
            "workerGroupSpecs": list(groups),
        },
    }


T4 = {
    **group("t4", 4, cpu="7500m", memory="28Gi", **{"nvidia.com/gpu": "1"}),
    "rayStartParams": {"resources": '"{\\"accelerator_type:T4\\": 1}"'},
}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An API server for `answer.json`, and the environment of a pod that may ask it."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == PATH else 404)
            self.end_headers()
            self.wfile.write((tmp_path / "answer.json").read_bytes())

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("localhost", 0), Api)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED  # who has no certificate learns nothing
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield {
        "RAY_CLUSTER_NAME": "seedbed",
        "RAY_CLUSTER_NAMESPACE": "lab",
        "KUBERNETES_SERVICE_HOST": "localhost",
        "KUBERNETES_SERVICE_PORT_HTTPS": str(server.server_port),
        "RAY_KUBERAY_CLIENT_CERT_PATH": str(certificate),
        "RAY_KUBERAY_CLIENT_KEY_PATH": str(key),
        "RAY_KUBERAY_CA_CERT_PATH": str(certificate),
    }
    server.shutdown()
    server.server_close()


def ask(api: dict[str, str], tmp_path: Path, what: dict[str, Any]) -> Any:
    (tmp_path / "answer.json").write_text(json.dumps(what))
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env=os.environ | api,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.slow
def test_the_groups_of_the_ray_cluster_are_node_types(api: dict[str, str], tmp_path: Path) -> None:
    cores = group("cores", 10, cpu="16", memory="64Gi")
    found = ask(api, tmp_path, cluster(T4, cores, group("none", 0, cpu="1")))
    assert found == [
        14,
        [
            [
                "t4",
                {"CPU": 8, "GPU": 1, "memory": 28 * 2**30, "accelerator_type:T4": 1},
                4,
                "",
                False,
            ],
            ["cores", {"CPU": 16, "memory": 64 * 2**30}, 10, "", False],
        ],
    ]
    assert ask(api, tmp_path, cluster(T4, scales=False)) is None
