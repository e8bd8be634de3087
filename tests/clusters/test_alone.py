"""What ends a worker that has lost its head, and when it begins to watch."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from tests.clusters.launcher import CLUSTERS, read, read_by_autoscaler

FILES = ["aws.yaml", "gcp.yaml"]


@pytest.mark.slow
def test_a_worker_is_shut_down_when_its_ray_is_gone_and_not_before(tmp_path: Path) -> None:
    # A name of its own: other Rays may run on this machine.
    ray = tmp_path / f"sb{os.getpid()}"
    shutil.copy(shutil.which("sleep") or "", ray)
    with subprocess.Popen([ray, "60"]) as running:
        alone = subprocess.Popen(
            ["bash", CLUSTERS / "alone.sh", ray.name, "2", f"touch {tmp_path}/down"],
            stdout=subprocess.DEVNULL,
        )
        time.sleep(4)
        assert not (tmp_path / "down").exists()
        running.kill()
    assert alone.wait(30) == 0
    assert (tmp_path / "down").exists()


@pytest.mark.slow
def test_a_worker_that_lost_its_head_before_ray_ran_is_shut_down_later(tmp_path: Path) -> None:
    alone = subprocess.Popen(
        ["bash", CLUSTERS / "alone.sh", f"no{os.getpid()}", "1", f"touch {tmp_path}/down", "5"],
        stdout=subprocess.DEVNULL,
    )
    time.sleep(3)
    assert not (tmp_path / "down").exists()
    assert alone.wait(30) == 0
    assert (tmp_path / "down").exists()


@pytest.mark.parametrize("name", FILES)
def test_a_worker_is_watched_before_anything_is_installed_on_it_and_the_head_is_not(
    name: str,
) -> None:
    config = read_by_autoscaler(read(name))
    for kind in config.get_node_type_configs():
        if kind != config.get_head_node_type():
            first, *others = config.get_worker_setup_commands(kind)
            assert "alone.sh" in first and others == config.get_head_setup_commands()
    assert not any("alone.sh" in one for one in config.get_head_setup_commands())
