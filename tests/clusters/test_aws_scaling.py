"""A study that trains on aws.yaml's own node types. Oracle: Ray's autoscaler, and real raylets.

No machine of Amazon's: Ray's provider for one machine starts a raylet that counts what the file
says of a type, and its GPUs are counted, not there.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from tests.clusters.launcher import read

from seedbed.cluster.capacity import Capacity, cluster_capacity
from seedbed_local.head import RayHead

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.ray,
    pytest.mark.timeout(900),
]
STORE = 200_000_000  # bytes: all nodes share this machine's
STUDY = """
from seedbed import Factor, Recipe, Study, main
from seedbed.variants import CLIP

main(
    Study(
        name="scaled",
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("depth", at="text.layers", levels=(1, 2)),),
        responses=("zeroshot/top1_of_100",),
        seeds=1,
    )
)
"""
BUDGET = 20 * 64  # samples: twenty steps


def types_of_the_file() -> dict[str, Any]:
    """The node types as they are shipped, but for what is the provider's, and their patience."""
    types: dict[str, Any] = copy.deepcopy(read("aws.yaml")["available_node_types"])
    for one in types.values():
        one["node_config"] = {}
        one["resources"]["object_store_memory"] = STORE
        if "idle_timeout_s" in one:
            one["idle_timeout_s"] = 6
    return types


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Of a head that starts these nodes."""
    shipped = read("aws.yaml")
    kept = ("max_workers", "head_node_type", "upscaling_speed")
    config = {name: shipped[name] for name in kept}
    config |= {"available_node_types": types_of_the_file(), "idle_timeout_minutes": 0.1}
    with tempfile.TemporaryDirectory(prefix="aw", ignore_cleanup_errors=True) as short:
        head = RayHead(
            tmp_path / "ray", config, checkout=tmp_path, temp=Path(short), dashboard=False,
            # A node of 192 CPUs would start as many processes before there is work.
            env={"RAY_prestart_worker_first_driver": "0"},
        )  # fmt: skip
        try:
            head.start()
            yield head.address
        finally:
            ray.shutdown()
            head.stop()


def join(address: str) -> Capacity:
    """What the cluster is, once its own node is there."""
    for left in reversed(range(60)):
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
            break
        except (ConnectionError, RuntimeError):
            if not left:
                raise
            time.sleep(1)
    return cluster_capacity()


def there() -> list[str]:
    """The types of the nodes beside the head, by the label that the file gives them."""
    return sorted(
        node["Labels"]["type"]
        for node in ray.nodes()
        if node["Alive"] and "node:__internal_head__" not in node["Resources"]
    )


def test_a_study_trains_on_a_node_that_comes_for_it_and_goes(
    address: str, tmp_path: Path, shapes: Path
) -> None:
    capacity = join(address)
    shipped = read("aws.yaml")["available_node_types"]
    assert {one.name: one.most for one in capacity.node_types} == {
        name: node["max_workers"] for name, node in shipped.items() if name != "head"
    }
    for one in capacity.node_types:
        own = {name: n for name, n in one.resources.items() if name != "object_store_memory"}
        assert own == shipped[one.name]["resources"]
    assert there() == []  # from nothing

    file, results = tmp_path / "scaled.py", tmp_path / "results"
    file.write_text(STUDY)
    line = [sys.executable, str(file), "--accelerator", "A10G", "--max-gpus", "1"]
    line += ["--data-cpus", "1", "--set", f"budget.samples={BUDGET}", "--storage", str(results)]
    environment = os.environ | {
        "RAY_ADDRESS": address,
        "SEEDBED_DEVICE": "cpu",  # workers hold the GPUs that are counted
        "SEEDBED_HOME": str(tmp_path / "home"),
        "SEEDBED_SCALE": "smoke",
        "SEEDBED_DATA": str(shapes),
        "RAY_prestart_worker_first_driver": "0",
    }
    seen: list[list[str]] = [[]]
    began = time.monotonic()
    with (tmp_path / "log").open("w") as log:
        study = subprocess.Popen(line, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            while study.poll() is None and time.monotonic() < began + 600:
                if (now := there()) != seen[-1]:
                    seen.append(now)
                time.sleep(0.2)
        finally:
            study.kill()
            study.wait()
    said = (tmp_path / "log").read_text()
    assert study.returncode == 0, said[-4000:]
    assert "asked for GPUs of the kind A10G, at most 1 GPUs" in said

    records = [json.loads(path.read_text()) for path in results.rglob("record.json")]
    assert [record["status"] for record in records] == ["completed"] * 2
    for record in records:
        losses = [point["train/loss"] for point in record["curve"]]
        assert record["curve"][-1]["samples"] == BUDGET and losses[-1] < losses[0]
    # Up from none by one node of the cheapest type with such a GPU, which no other was beside.
    assert seen[:2] == [[], ["a10g-1"]]
    assert {name for names in seen for name in names} == {"a10g-1"}
    until = time.monotonic() + 120
    while there() and time.monotonic() < until:
        time.sleep(0.5)
    assert there() == []  # and down again
