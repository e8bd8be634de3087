"""Several raylets on one machine, and what happens to them while a study runs."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import ray
from ray.cluster_utils import Cluster
from tests.fixtures.metadata import Metadata


def new_cluster(num_nodes: int) -> Cluster:
    """A head without CPUs, as a cluster's is, and nodes of one CPU."""
    quick = {"health_check_period_ms": 500, "health_check_failure_threshold": 3}
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": quick}
    nodes = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(num_nodes):
        nodes.add_node(num_cpus=1, wait=False)
    nodes.wait_for_nodes()
    return nodes


def join(nodes: Cluster) -> None:
    ray.init(address=nodes.address, log_to_driver=False, logging_level="ERROR")


class Beside(threading.Thread):
    """Does something while a study runs; `ended` once that has."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__()
        self.act, self.ended = act, threading.Event()
        self.raised: BaseException | None = None

    def run(self) -> None:
        try:
            self.act()
        except BaseException as error:
            self.raised = error


@contextlib.contextmanager
def beside(act: Callable[[], None]) -> Iterator[None]:
    """Do `act` while the body runs; what it raises is raised when both have ended."""
    thread = Beside(act)
    thread.start()
    try:
        yield
    finally:
        thread.ended.set()
        thread.join()
    if thread.raised:
        raise thread.raised


def until(check: Callable[[], object], seconds: float = 300) -> None:
    """Wait for it to come true, as long as the study runs that this is beside of."""
    thread, end = threading.current_thread(), time.monotonic() + seconds
    while True:
        over = isinstance(thread, Beside) and thread.ended.is_set()
        if check():
            return
        assert not over and time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


@contextlib.contextmanager
def watched(address: str, node: str, url: str) -> Iterator[None]:
    """The watcher of a node that asks the metadata server at `url`."""
    command = [sys.executable, "-m", "seedbed.cluster.notices", "--metadata", url]
    command += ["--address", address, "--node-id", node]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout is not None
        assert "watching" in watcher.stdout.readline()
        try:
            yield
            assert watcher.wait(60) == 0
        finally:
            watcher.kill()


def holders() -> list[str]:
    """The nodes of the processes that wait for workers: Tune's trials, Train's controllers."""
    return [
        actor["Address"]["NodeID"]
        for actor in ray._private.state.actors().values()
        if actor["State"] == "ALIVE"
        and actor["ActorClassName"].endswith(("ImplicitFunc", "TrainController"))
    ]


def last_kept(results: Path) -> int:
    """The step of the last checkpoint that is whole."""
    found = [0]
    for place in (results / "cohorts").glob("*/checkpoint_*/place.json"):
        with contextlib.suppress(ValueError, OSError):  # half written, or removed meanwhile
            said = json.loads(place.read_text())
            sizes = {name: (place.parent / name).stat().st_size for name in said["sizes"]}
            if sizes == said["sizes"]:
                found.append(said["step_number"])
    return max(found)


def told_to_go(server: Metadata) -> None:
    """AWS says that it will take the machine in two minutes."""
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 120))
    server.say("spot/instance-action", f'{{"action": "terminate", "time": "{end}"}}')


def lose(nodes: Cluster, name: str) -> None:
    """End a node's processes as they are."""
    (node,) = (one for one in nodes.worker_nodes if one.node_id == name)
    nodes.remove_node(node, allow_graceful=False)
