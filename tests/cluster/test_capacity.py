"""What a cluster can become. Oracle: the arithmetic by hand, and what Ray's autoscaler starts."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.autoscaler._private.monitor import BASE_READONLY_CONFIG
from tests.fixtures.studies import run_study, small_plan

from seedbed.cluster.asked import Asked
from seedbed.cluster.autoscaler import NodeType, of_monitor
from seedbed.cluster.capacity import Capacity, at_most, cluster_capacity
from seedbed.cluster.layout import lay_out
from seedbed.errors import ResourceError
from seedbed_local.head import RayHead

HEAD = ("", {"CPU": 4.0})
BIG = NodeType("big", {"CPU": 32.0, "GPU": 8.0}, 2)
SMALL = NodeType("small", {"CPU": 8.0, "GPU": 1.0}, 10)
PLAIN = NodeType("plain", {"CPU": 64.0}, 5)


@pytest.mark.parametrize(
    ("present", "types", "max_workers", "cpus", "gpus"),
    [
        ([HEAD], [], 0, 4, 0),
        ([HEAD], [SMALL], 20, 4 + 80, 10),
        ([HEAD], [SMALL], 3, 4 + 24, 3),
        # Too few for all: the nodes with GPUs first, whatever the order of the types.
        ([HEAD], [PLAIN, SMALL, BIG], 4, 4 + 2 * 32 + 2 * 8, 2 * 8 + 2),
        ([HEAD], [PLAIN, SMALL, BIG], 100, 4 + 64 + 80 + 5 * 64, 16 + 10),
        # What is there of a type is of those that there can be.
        ([HEAD, ("small", SMALL.resources)], [SMALL], 3, 4 + 24, 3),
        # What was joined by hand stays, and what is there is there though it is too much.
        ([HEAD, ("", {"CPU": 2.0, "GPU": 1.0})], [SMALL], 1, 4 + 2 + 8, 2),
        ([HEAD, *[("small", SMALL.resources)] * 3], [SMALL], 2, 4 + 24, 3),
    ],
)
def test_a_cluster_becomes_what_its_types_and_its_limit_allow(
    present: list[tuple[str, Mapping[str, float]]],
    types: list[NodeType],
    max_workers: int,
    cpus: float,
    gpus: float,
) -> None:
    most = at_most(present, types, max_workers)
    assert (most["CPU"], most.get("GPU", 0)) == (cpus, gpus)


# All of them are on one machine. The autoscaler starts none for tasks that ask for memory, as those
# of the data do, where a type does not say that it has some.
MEMORY = {"memory": 4_000_000_000, "object_store_memory": 200_000_000}
CONFIG = {
    "max_workers": 3,
    "idle_timeout_minutes": 10,
    "head_node_type": "ray.head.default",
    "available_node_types": {
        "ray.head.default": {"resources": {"CPU": 2}, "node_config": {}, "max_workers": 0},
        "gpu": {"resources": {"CPU": 2, "GPU": 1} | MEMORY, "node_config": {}, "max_workers": 8},
        "none": {"resources": {"CPU": 64}, "node_config": {}, "max_workers": 0},
    },
}


@pytest.fixture
def scaling_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Mapping[str, Any]], str]]:
    """Starts a head of two CPUs that scales by a configuration, and joins it."""
    # Ray asks once in a process, and this one may have had another Ray, that does not scale.
    monkeypatch.setattr("ray.autoscaler.v2.utils.cached_is_autoscaler_v2", None)
    heads: list[RayHead] = []
    with tempfile.TemporaryDirectory(prefix="as", ignore_cleanup_errors=True) as short:

        def start(config: Mapping[str, Any]) -> str:
            head = RayHead(
                tmp_path / "ray",
                config,
                checkout=tmp_path,
                temp=Path(short),
                env={},
                dashboard=False,
            )
            heads.append(head)
            head.start()
            join(head.address)
            return head.address

        try:
            yield start
        finally:
            ray.shutdown()
            for head in heads:
                head.stop()


def join(address: str) -> None:
    for _ in range(60):
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError):  # its own node is not there yet
            time.sleep(1)
        else:
            return
    raise AssertionError("the head cannot be joined")


def until(check: Callable[[], bool], seconds: float = 120) -> bool:
    """Whether `check` came true within `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if check():
            return True
        time.sleep(1)
    return False


def test_an_autoscaler_that_has_ended_is_told_from_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert of_monitor("127.0.0.1:1") is None
    config = tmp_path / "ray_bootstrap_config.yaml"
    config.write_text(json.dumps(BASE_READONLY_CONFIG | CONFIG | {"cluster_name": "one"}))
    with pytest.raises(RuntimeError, match="has ended: no node is started or ended any more"):
        of_monitor("127.0.0.1:1")
    # As Ray's own is started; it only has to be there.
    line = ["monitor.py", "--gcs-address=127.0.0.1:1", f"--autoscaling-config={config}"]
    code = "print('up', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, *line], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as monitor:
        assert monitor.stdout is not None and monitor.stdin is not None
        assert monitor.stdout.readline() == b"up\n"
        found = of_monitor("127.0.0.1:1")
        assert found is not None and [one.name for one in found.node_types] == ["gpu"]
        assert of_monitor("127.0.0.1:2") is None  # of another Ray on this machine
        monitor.stdin.close()


def test_a_type_that_states_no_memory_is_named() -> None:
    silent = Capacity({"CPU": 2.0}, {"CPU": 10.0, "GPU": 1.0}, (SMALL,))
    assert silent.words.endswith(
        "; caution: small states no memory, and is not started for tasks of the data, which ask "
        "for some"
    )
    known = replace(SMALL, resources={**SMALL.resources, "memory": 1e9})
    assert "caution" not in replace(silent, node_types=(known,)).words


@pytest.mark.slow
@pytest.mark.ray
def test_from_no_gpus_a_cluster_becomes_what_was_said_of_it(
    scaling_head: Callable[[Mapping[str, Any]], str],
) -> None:
    from ray.autoscaler.sdk import request_resources

    scaling_head(CONFIG)
    before = cluster_capacity()
    assert before.unknown == ""
    assert before.now.get("GPU", 0) == 0 and before.now["CPU"] == 2
    assert [one.name for one in before.node_types] == ["gpu"]
    assert (before.most["CPU"], before.most["GPU"]) == (2 + 3 * 2, 3)
    assert before.words == (
        "the cluster has 2 CPUs and can have 8 CPUs and 3 GPUs (up to 3 x gpu of 2 CPUs and 1 GPU)"
    )
    with pytest.raises(ResourceError, match="needs 4 GPUs and the cluster can have 3"):
        lay_out(before.most, Asked(4), num_cohorts=1, has=before.has)
    assert lay_out(before.most, Asked(3), num_cohorts=1).use_gpu
    request_resources(bundles=[{"GPU": 1}] * 3)
    assert until(lambda: ray.cluster_resources().get("GPU", 0) == 3), ray.cluster_resources()
    after = cluster_capacity()
    for name in ("CPU", "GPU"):
        assert after.now[name] == after.most[name] == before.most[name]


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.ray
def test_a_cohort_runs_on_nodes_that_were_not_there_when_it_was_laid_out(
    scaling_head: Callable[[Mapping[str, Any]], str], shapes: Path, tmp_path: Path
) -> None:
    types = CONFIG["available_node_types"]
    assert isinstance(types, dict)
    plain = {"resources": {"CPU": 3} | MEMORY, "node_config": {}, "max_workers": 1}
    scaling_head(
        {
            **CONFIG,
            "available_node_types": {
                "ray.head.default": types["ray.head.default"],
                "plain": plain,
            },
        }
    )
    what = small_plan(shapes)
    # Two workers and their data task need three CPUs, and two are there.
    outcome = run_study(what, tmp_path, asked=Asked(2))
    assert outcome.missing(what.trials) == []
    kept = json.loads((tmp_path / "results" / what.variation / "layouts.json").read_text())
    assert [layout["num_workers"] for layout in kept] == [2]
    assert (kept[0]["cluster"]["now"]["CPU"], kept[0]["cluster"]["most"]["CPU"]) == (2, 5)
    said = {outcome.records[trial.key].layout for trial in what.trials}
    assert said == {kept[0]["words"]}
    assert (
        "the cluster has 2 CPUs and can have 5 CPUs (up to 1 x plain of 3 CPUs)" in kept[0]["words"]
    )


@pytest.mark.slow
@pytest.mark.ray
def test_what_another_autoscaler_tells_the_cluster_is_believed() -> None:
    from ray.core.generated.autoscaler_pb2 import ClusterConfig, NodeGroupConfig

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        assert cluster_capacity().node_types == ()
        group = NodeGroupConfig(name="h100", resources={"CPU": 208, "GPU": 8}, max_count=4)
        config = ClusterConfig(node_group_configs=[group])
        client = ray._raylet.GcsClient(address=ray.get_runtime_context().gcs_address)
        client.internal_kv_put(
            ray._raylet.GCS_AUTOSCALER_CLUSTER_CONFIG_KEY.encode(),
            config.SerializeToString(),
            True,
            ray._raylet.GCS_AUTOSCALER_STATE_NAMESPACE.encode(),
        )
        found = cluster_capacity()
        assert (found.most["CPU"], found.most["GPU"]) == (2 + 4 * 208, 32)
    finally:
        ray.shutdown()
