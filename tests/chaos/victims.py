"""Whom to kill: the parts of a cluster on this machine, by kind."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import time
from collections.abc import Callable, Mapping

import psutil
from tests.fixtures.local_cluster import nodes

from seedbed_local.cluster import Cluster, members
from seedbed_local.demo import submit_environment
from seedbed_local.head import BIN
from seedbed_local.service import kill, lives, tree

SERVERS = ("mlflow", "s3", "postgres")
# Of the head. With one of them gone `ray start --block` ends the others, and the head is started
# anew, as by whoever looks after it; the study's command is sent again.
OF_THE_HEAD = ("gcs_server", "monitor", "head")
# What Ray calls its processes, by what they begin with.
TITLES: Mapping[str, tuple[str, ...]] = {
    "worker": ("ray::RayTrainWorker", "ray::_RayTrainWorker"),
    "data task": ("ray::MapBatches",),
    "controller": ("ray::TrainController",),
    "holder": ("ray::ImplicitFunc", "ray::run_cohort"),
}
KINDS = (*TITLES, "raylet", "drain", "driver", *SERVERS, *OF_THE_HEAD)
NOTICE_SECONDS = 30  # as GCP gives a node
HEAD_SECONDS = 120.0  # in which a head without one of its processes ends by itself


def victims(cluster: Cluster, kind: str, script: str) -> list[psutil.Process]:
    """The processes of that kind, ascending by pid; of `driver` those that run `script`."""
    assert cluster.ray.process is not None
    found = []
    for process in tree([cluster.ray.process.pid]):
        with contextlib.suppress(psutil.Error):
            title = process.cmdline()
            if title and _is(kind, process.name(), title, script):
                found.append(process)
    return sorted(found, key=lambda process: process.pid)


def _is(kind: str, name: str, title: list[str], script: str) -> bool:
    if kind == "raylet":  # of a worker node
        return name == "raylet" and "--head" not in title
    if kind == "gcs_server":
        return name == "gcs_server"
    if kind == "monitor":  # Ray's autoscaler
        return any(word.endswith("/monitor.py") for word in title)
    if kind == "driver":
        return script in title and not title[0].startswith("ray::") and "python" in name
    return title[0].startswith(TITLES[kind])


def kill_one(cluster: Cluster, kind: str, script: str, rng: random.Random) -> bool:
    """Kill one of that kind, where there is one."""
    there = victims(cluster, kind, script)
    if not there:
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        rng.choice(there).kill()
        return True
    return False


def drain_one(cluster: Cluster, rng: random.Random) -> bool:
    """Tell Ray of a node that it will be preempted, as a notice does, and take it away then."""
    alive = [node["node_id"] for node in nodes(cluster.reach) if node["state"] == "ALIVE"]
    raylets = {_node_id(process): process for process in victims(cluster, "raylet", "")}
    there = sorted(set(alive) & raylets.keys())
    if not there:
        return False
    node = rng.choice(there)
    line = ["drain-node", f"--address={cluster.ray.address}", f"--node-id={node}"]
    line += ["--reason=DRAIN_NODE_REASON_PREEMPTION", "--reason-message=chaos"]
    line += [f"--deadline-remaining-seconds={NOTICE_SECONDS}"]
    told = time.monotonic()
    done = subprocess.run(
        [BIN / "ray", *line], env=submit_environment(cluster.reach), capture_output=True,
        text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    while lives(raylets[node]) and time.monotonic() < told + NOTICE_SECONDS:
        time.sleep(0.2)
    kill([raylets[node]])
    return True


def _node_id(raylet: psutil.Process) -> str:
    """By its command line; "" of one that has ended."""
    with contextlib.suppress(psutil.Error):
        options = [
            word.removeprefix("--node_id=") for word in raylet.cmdline() if "node_id" in word
        ]
        return options[0] if options else ""
    return ""


def lose_head(cluster: Cluster, kind: str, rng: random.Random, say: Callable[[str], None]) -> bool:
    """Kill a process of the head, or all of it as its machine would be lost.

    What outlives it is said, and ended: in a cloud nodes without a head end themselves.
    """
    if kind != "head":
        if not kill_one(cluster, kind, "", rng):
            return False
        _await_end(cluster, kind, say)
    cluster.ray.kill()
    left = of_ray(cluster)
    say(f"{len(left)} processes of its nodes and drivers outlived the head")
    kill(left)
    return True


def _await_end(cluster: Cluster, kind: str, say: Callable[[str], None]) -> None:
    """Say how long the head lives without one of its processes."""
    head, began = cluster.ray.process, time.monotonic()
    assert head is not None
    while head.poll() is None and time.monotonic() < began + HEAD_SECONDS:
        time.sleep(0.2)
    passed = f"{time.monotonic() - began:.1f} s"
    ends = "lives on" if head.poll() is None else "ended by itself"
    say(f"without its {kind} the head {ends} after {passed}")


def of_ray(cluster: Cluster) -> list[psutil.Process]:
    """The processes that Ray has started in the cluster, whether its head lives or not."""
    found = []
    for process in members(cluster.mark):
        with contextlib.suppress(psutil.Error):
            if "RAY_FAKE_CLUSTER" in process.environ() and process.pid != os.getpid():
                found.append(process)
    return found
