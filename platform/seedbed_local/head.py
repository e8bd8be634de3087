"""A Ray head on this machine whose autoscaler starts real nodes, and ends them when idle."""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seedbed_local.service import Service, free_ports

BIN = Path(sys.executable).parent
HEAD_ID = "f" * 51 + "00000"  # the provider counts its nodes on from here
PORTS = ("ray", "dashboard", "agent", "metrics")
STARTED = b"Ray runtime started"  # what `ray start` says then


class RayHead(Service):
    """`ray start --head` in the folder `checkout`, scaling by `config`.

    `config` is that of a cluster's YAML: `max_workers`, `idle_timeout_minutes`, `head_node_type`
    and `available_node_types`. `temp` is a folder with a short name, for sockets. Nodes have the
    head's `env`; with a `token` whoever comes needs it. Where `ports` says nothing or 0 they are
    free ones; without a `dashboard` there is no jobs API.
    """

    name = "ray"
    stop_signal = signal.SIGTERM

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, Any],
        *,
        checkout: Path,
        temp: Path,
        env: Mapping[str, str],
        token_path: Path | None = None,
        ports: Mapping[str, int] | None = None,
        dashboard: bool = True,
        marks: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder, marks)
        self.config, self.cwd, self.temp = config, checkout, temp
        self.env, self.token_path, self.dashboard = dict(env), token_path, dashboard
        self._said_before = 0  # bytes of the log, when it was launched last
        free = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.ports = free | {name: port for name, port in (ports or {}).items() if port}

    @property
    def address(self) -> str:
        """For drivers on this machine."""
        from ray.util import get_node_ip_address

        return f"{get_node_ip_address()}:{self.ports['ray']}"

    @property
    def jobs(self) -> str:
        """Of the jobs API and the dashboard."""
        return f"http://127.0.0.1:{self.ports['dashboard']}"

    def command(self) -> list[str]:
        head = self.config["available_node_types"][self.config["head_node_type"]]["resources"]
        sizes = {
            "--num-cpus": head.get("CPU", 0),
            "--num-gpus": head.get("GPU", 0),
            "--memory": head.get("memory"),
            "--object-store-memory": head.get("object_store_memory", 200_000_000),
        }
        return [
            *(str(BIN / "ray"), "start", "--head", "--block", "--disable-usage-stats"),
            f"--port={self.ports['ray']}",
            f"--include-dashboard={str(self.dashboard).lower()}",
            "--dashboard-host=127.0.0.1",
            f"--dashboard-port={self.ports['dashboard']}",
            f"--dashboard-agent-listen-port={self.ports['agent']}",
            f"--metrics-export-port={self.ports['metrics']}",
            f"--temp-dir={self.temp}",
            f"--autoscaling-config={self._config_path}",
            *("--min-worker-port=0", "--max-worker-port=0"),
            *(f"{name}={amount}" for name, amount in sizes.items() if amount is not None),
        ]

    def environment(self) -> dict[str, str]:
        kept = {n: v for n, v in os.environ.items() if not n.startswith("RAY_")}
        auth = {"RAY_AUTH_MODE": "disabled"}
        if self.token_path is not None:
            auth = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.token_path)}
        return (
            kept
            | {
                "PATH": f"{BIN}:{os.environ['PATH']}",
                "TMPDIR": str(self.temp),
                "RAY_FAKE_CLUSTER": "1",
                "RAY_enable_autoscaler_v2": "1",
                "AUTOSCALER_UPDATE_INTERVAL_S": "1",
                "RAY_CLOUD_INSTANCE_ID": HEAD_ID,
                "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
                "RAY_NODE_TYPE_NAME": self.config["head_node_type"],
            }
            | auth
            | self.env
        )

    def launch(self) -> None:
        from ray.autoscaler._private.monitor import BASE_READONLY_CONFIG

        self.temp.mkdir(parents=True, exist_ok=True)
        provider = {
            "type": "external",
            "module": "seedbed_local.nodes.LocalNodes",
            "gcs_address": self.address,
            "head_node_id": HEAD_ID,
            "head_node_type": self.config["head_node_type"],
            "launch_multiple": True,
            "disable_node_updaters": True,
        }
        whole = {**BASE_READONLY_CONFIG, **self.config, "provider": provider}
        whole.setdefault("cluster_name", f"local-{secrets.token_hex(4)}")
        self._config_path.write_text(json.dumps(whole))  # which is YAML as well
        self._said_before = self.log.stat().st_size if self.log.exists() else 0
        super().launch()

    def is_up(self) -> bool:
        # Its own node is there, too: a driver that comes before waits for ever where it never is.
        if STARTED not in self.log.read_bytes()[self._said_before :]:
            return False
        if not self.dashboard:
            return True
        request = urllib.request.Request(f"{self.jobs}/api/jobs/")
        if self.token_path is not None:
            request.add_header("Authorization", f"Bearer {self.token_path.read_text().strip()}")
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    @property
    def _config_path(self) -> Path:
        return self.temp / "autoscaling.yaml"
