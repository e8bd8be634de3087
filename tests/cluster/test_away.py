"""A driver whose head is killed. Oracle: the process' own end, beside Ray's own end of another."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from seedbed.exits import PASSING
from seedbed_local.head import RayHead

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(300)]
DRIVER = """
import sys, time
import ray
from seedbed.cluster import away
from seedbed.cluster.connect import connect

away.LOST_SECONDS, away.EVERY_SECONDS = 3.0, 0.2
connect()
if sys.argv[1] == "leaves":
    ray.shutdown()
print("joined", flush=True)
time.sleep(12 if sys.argv[1] == "leaves" else 600)
"""


@pytest.fixture
def head(tmp_path: Path) -> Iterator[RayHead]:
    config = {
        "max_workers": 0,
        "idle_timeout_minutes": 1,
        "head_node_type": "head",
        "available_node_types": {
            "head": {"resources": {"CPU": 1}, "node_config": {}, "max_workers": 0}
        },
    }
    with tempfile.TemporaryDirectory(prefix="aw", ignore_cleanup_errors=True) as short:
        found = RayHead(
            tmp_path, config, checkout=tmp_path, temp=Path(short), env={}, dashboard=False
        )
        try:
            found.start()
            yield found
        finally:
            found.stop()


def test_a_driver_ends_with_its_cluster_by_the_status_of_the_infrastructure(head: RayHead) -> None:
    environment = {**os.environ, "RAY_ADDRESS": head.address, "RAY_AUTH_MODE": "disabled"}
    drivers = {}
    for name in ("stays", "leaves"):
        drivers[name] = subprocess.Popen(
            [sys.executable, "-c", DRIVER, name], env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
    for driver in drivers.values():
        assert driver.stdout is not None
        assert driver.stdout.readline() == "joined\n"
    time.sleep(5)  # longer than a head may be silent: it is not
    assert drivers["stays"].poll() is None
    head.kill()
    _, said = drivers["stays"].communicate(timeout=40)  # Ray itself takes a minute, and says 1
    assert drivers["stays"].returncode == PASSING, said
    assert f"the head of the cluster at {head.address} has not answered for" in said
    drivers["leaves"].communicate(timeout=40)
    assert drivers["leaves"].returncode == 0  # what has left a cluster outlives it
