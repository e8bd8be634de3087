"""Whom to kill: the parts of a cluster on this machine, by kind."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Mapping

import psutil

from seedbed_local.cluster import Cluster
from seedbed_local.service import tree

SERVERS = ("mlflow", "s3", "postgres")
# What Ray calls its processes, by what they begin with.
TITLES: Mapping[str, tuple[str, ...]] = {
    "worker": ("ray::RayTrainWorker", "ray::_RayTrainWorker"),
    "data task": ("ray::MapBatches",),
    "controller": ("ray::TrainController",),
    "holder": ("ray::ImplicitFunc", "ray::run_cohort"),
}
KINDS = (*TITLES, "raylet", "driver", *SERVERS)


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
