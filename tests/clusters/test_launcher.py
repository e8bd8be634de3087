"""The cluster launcher's YAML files. Oracle: Ray's own checks and its autoscaler's scheduler."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.clusters.launcher import CLUSTERS, ROOT, checked, launched_for, node_types, read, workers

FILES = ["aws.yaml", "gcp.yaml"]
ONE_GPU = {"CPU": 4.0, "GPU": 1.0}
DATA_TASK = {"CPU": 1.0, "memory": 500e6}


@pytest.mark.parametrize("name", FILES)
def test_ray_up_takes_it(name: str) -> None:
    config = read(name)
    assert checked(config)["cluster_name"] == "seedbed"
    types = node_types(config)
    assert types.keys() == config["available_node_types"].keys()


def typo(config: dict[str, Any]) -> None:
    config["available_node_types"]["data"]["max_worker"] = 3


def unknown_head(config: dict[str, Any]) -> None:
    config["head_node_type"] = "haed"


def more_at_least_than_at_most(config: dict[str, Any]) -> None:
    config["available_node_types"]["data"] |= {"min_workers": 9, "max_workers": 8}


def more_at_least_than_all(config: dict[str, Any]) -> None:
    config["available_node_types"]["data"] |= {"min_workers": 99, "max_workers": 99}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("break_it", "error"),
    [
        (typo, jsonschema.ValidationError),
        (unknown_head, ValueError),
        (more_at_least_than_at_most, AssertionError),
        (more_at_least_than_all, ValueError),
    ],
)
def test_a_broken_copy_is_refused(
    name: str, break_it: Callable[[dict[str, Any]], None], error: type[Exception]
) -> None:
    config = read(name)
    break_it(config)
    with pytest.raises(error):
        node_types(config)


@pytest.mark.parametrize("name", FILES)
def test_it_starts_with_its_head_alone_and_no_work_lands_there(name: str) -> None:
    config = read(name)
    assert all(node["min_workers"] == 0 for _, node in workers(config))
    assert launched_for(config) == Counter()
    # A holder of a trial only waits, and fits the head; a task does not.
    assert launched_for(config, *[{"memory": 100e6}] * 20) == Counter()
    assert set(launched_for(config, DATA_TASK)) == {"data"}


@pytest.mark.parametrize("name", FILES)
def test_the_data_s_tasks_start_nodes_without_gpus(name: str) -> None:
    launched = launched_for(read(name), *[DATA_TASK] * 40)
    assert launched == Counter({"data": 2})  # of 32 CPUs each


@pytest.mark.parametrize("name", FILES)
def test_whoever_asks_for_an_accelerator_gets_it(name: str) -> None:
    config = read(name)
    kinds = Counter(
        (key, node["resources"]["GPU"])
        for _, node in workers(config)
        for key in node["resources"]
        if key.startswith("accelerator_type:")
    )
    assert {count for _, count in kinds} == {1, 8}
    for kind, most in kinds:
        fitting = {
            node_type
            for node_type, node in workers(config)
            if kind in node["resources"] and node["resources"]["GPU"] >= most
        }
        one = {**ONE_GPU, kind: 0.001}
        (started,) = launched_for(config, {"CPU": 4.0, "GPU": float(most), kind: 0.001})
        assert started in fitting
        (started,) = launched_for(config, *[one] * most)
        assert kind in config["available_node_types"][started]["resources"]


def without_memory(config: dict[str, Any]) -> None:
    for node in config["available_node_types"].values():
        node["resources"].pop("memory")


def without_the_accelerator(config: dict[str, Any]) -> None:
    for node in config["available_node_types"].values():
        node["resources"].pop("accelerator_type:H100", None)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("break_it", "asked"),
    [
        (without_memory, DATA_TASK),
        (without_the_accelerator, {**ONE_GPU, "accelerator_type:H100": 0.001}),
    ],
)
def test_what_a_broken_copy_cannot_give_starts_nothing(
    name: str, break_it: Callable[[dict[str, Any]], None], asked: dict[str, float]
) -> None:
    config = read(name)
    assert launched_for(config, asked).total() == 1
    break_it(config)
    assert launched_for(config, asked) == Counter({"": 1})


def commands(config: dict[str, Any]) -> Iterator[str]:
    for key, value in config.items():
        if key.endswith("_commands"):
            yield from value


def parses(command: str) -> bool:
    return subprocess.run(["bash", "-n", "-c", command], capture_output=True).returncode == 0


@pytest.mark.parametrize("name", FILES)
def test_bash_can_read_every_command(name: str) -> None:
    found = list(commands(read(name)))
    assert len(found) >= 8
    assert [command for command in found if not parses(command)] == []
    assert not parses(found[0].replace("(", "", 1))


@pytest.mark.parametrize("name", FILES)
def test_what_the_commands_name_is_brought_to_the_node(name: str) -> None:
    config = read(name)
    for remote, local in config["file_mounts"].items():
        assert local.startswith("~") or (ROOT / local).exists(), local
        assert remote == f"~/seedbed/{local}" or remote == local
    named = {path for one in commands(config) for path in re.findall(r"clusters/\w+\.sh", one)}
    assert named == {"clusters/node.sh", "clusters/alone.sh"}
    assert all((ROOT / path).exists() for path in named)
    # What building the package reads, beside its source.
    project = (ROOT / "pyproject.toml").read_text()
    for read_by_setuptools in ("README.md", "LICENSE"):
        assert read_by_setuptools in project
        assert f"~/seedbed/{read_by_setuptools}" in config["file_mounts"]


@pytest.mark.slow
def test_a_node_knows_its_commit(tmp_path: Path) -> None:
    clone, node = tmp_path / "clone", tmp_path / "node"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    for local in read("aws.yaml")["file_mounts"].values():
        if (clone / local).is_dir():
            shutil.copytree(clone / local, node / local)
    code = "from seedbed.commands.study.entry import code_version as v; print(v()['git_commit'])"
    for change in ("", "# changed"):
        with (node / "studies" / "text_encoder_depth.py").open("a") as file:
            file.write(change)
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(node / "platform")},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert bool(change) == done.stdout.strip().endswith("-modified")
        assert len(done.stdout.split("-")[0].strip()) == 40


@pytest.mark.parametrize("name", FILES)
def test_ray_starts_in_the_checkout_with_a_token_and_a_private_dashboard(name: str) -> None:
    starts = [one for one in commands(read(name)) if "ray start" in one]
    assert len(starts) == 2
    assert all(one.startswith("cd ~/seedbed && . clusters/node.sh && ") for one in starts)
    (head,) = (one for one in starts if "--head" in one)
    assert "--dashboard-host=127.0.0.1" in head.split()


def test_a_node_s_environment_has_the_token_on_and_its_files_private(tmp_path: Path) -> None:
    files = [".ray/auth_token", ".seedbed/cluster.env", ".mlflow/credentials", ".aws/credentials"]
    for name in files:
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch(0o644)
    shutil.copy(CLUSTERS / "cluster.env", tmp_path / files[1])
    done = subprocess.run(
        ["bash", "-e", "-c", f". {CLUSTERS / 'node.sh'} && env"],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert found["RAY_AUTH_MODE"] == "token"
    assert "OMP_NUM_THREADS" not in found
    assert found["SEEDBED_STORAGE"] == "s3://my-bucket/results"
    assert found["PATH"].startswith(f"{tmp_path}/venv/bin:")
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in files} == {0o600}


def test_the_environment_has_no_name_that_the_code_does_not_read() -> None:
    names = re.findall(r"^(?:# )?([A-Z][A-Z_]+)=", (CLUSTERS / "cluster.env").read_text(), re.M)
    assert "MLFLOW_TRACKING_URI" in names
    code = "".join(path.read_text() for path in (ROOT / "platform" / "seedbed").rglob("*.py"))
    assert [name for name in names if f'"{name}"' not in code] == []
