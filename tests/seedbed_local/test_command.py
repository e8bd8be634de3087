"""`make cluster` by its command. Oracles: the process table, and the ports."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

from seedbed_local.cluster import CHECKOUT
from seedbed_local.service import lives

COMMAND = [sys.executable, "-m", "seedbed_local"]


@pytest.mark.slow
def test_a_port_that_is_taken_is_named_before_anything_starts(tmp_path: Path) -> None:
    config = yaml.safe_load((CHECKOUT / "clusters" / "local.yaml").read_text())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for one in config["servers"].values():
            one |= {name: 0 for name in ("port", "dashboard") if name in one}
        config["servers"]["mlflow"]["port"] = port
        (tmp_path / "local.yaml").write_text(yaml.safe_dump(config))
        done = subprocess.run(
            [*COMMAND, "up", "--config", tmp_path / "local.yaml", "--folder", tmp_path / "state"],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    assert done.returncode == 2
    assert f"port {port} of mlflow is taken" in done.stderr
    assert "make cluster-down" in done.stderr
    assert not (tmp_path / "state" / "state.json").exists()
    assert not (tmp_path / "state" / "postgres").exists()


def words(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.s3
@pytest.mark.timeout(900)
@pytest.mark.long
def test_ctrl_c_ends_every_process_that_was_started(tmp_path: Path) -> None:
    config = yaml.safe_load((CHECKOUT / "clusters" / "local.yaml").read_text())
    for one in config["servers"].values():
        one |= {name: 0 for name in ("port", "dashboard") if name in one}
    (tmp_path / "local.yaml").write_text(yaml.safe_dump(config))
    line = [*COMMAND, "up", "--config", tmp_path / "local.yaml", "--folder", tmp_path / "state"]
    holder = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    parts = ("postgres", "weed", "raylet", "gcs_server", "mlflow")
    for _ in range(600):
        started = psutil.Process(holder.pid).children(recursive=True)
        if all(any(part in words(process) for process in started) for part in parts):
            break
        assert holder.poll() is None, holder.communicate()
        time.sleep(0.5)
    second = subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)
    assert second.returncode == 2 and "is up already" in second.stderr
    holder.send_signal(signal.SIGINT)
    holder.send_signal(signal.SIGINT)
    out, _ = holder.communicate(timeout=120)
    assert holder.returncode == 0, out
    assert not any(map(lives, started))
    down = subprocess.run(
        [*COMMAND, "down", "--folder", tmp_path / "state"],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert "no cluster is up" in down.stdout
    assert "Traceback" not in out
