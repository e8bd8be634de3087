"""What studies ask of a cluster that scales from nothing. Oracle: the nodes that Ray starts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import ray
from tests.cluster.test_capacity import CONFIG, MEMORY, scaling_head, until

__all__ = ["scaling_head"]  # a fixture
pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.ray, pytest.mark.timeout(1200)]
STUDY = """
from seedbed import Factor, Recipe, Study, main
from seedbed.variants import CLIP

main(
    Study(
        name="{name}",
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("depth", at="text.layers", levels=(1, 2)),),
    )
)
"""


def gpu(count: int, kind: str) -> dict[str, Any]:
    """Untyped work of one GPU would come to nodes that have one: they are used best."""
    own = {"CPU": 2 * count, "GPU": count, f"accelerator_type:{kind}": 1}
    return {"resources": own | MEMORY, "node_config": {}, "max_workers": 2}


KINDS = {
    **CONFIG,
    "idle_timeout_minutes": 0.1,
    "available_node_types": {
        "ray.head.default": {"resources": {"CPU": 2}, "node_config": {}, "max_workers": 0},
        "t4": gpu(1, "T4"),
        "h100": gpu(2, "H100"),
    },
}


def start(name: str, address: str, folder: Path, *argv: str) -> subprocess.Popen[str]:
    """The study `name` as a user starts it; its workers compute on the CPU."""
    file = folder / f"{name}.py"
    file.write_text(STUDY.format(name=name))
    environment = os.environ | {
        "RAY_ADDRESS": address,
        "RAY_AUTH_MODE": "disabled",
        "SEEDBED_DEVICE": "cpu",
        "SEEDBED_HOME": str(folder / name),
        "SEEDBED_STORAGE": str(folder / name / "results"),
    }
    return subprocess.Popen(
        [sys.executable, str(file), "--scale", "smoke", "--rehearse", *argv],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def test_two_studies_share_nodes_of_the_kind_they_ask_for_and_leave_none(
    scaling_head: Callable[[Mapping[str, Any]], str], tmp_path: Path
) -> None:
    address = scaling_head(KINDS)
    with start("no", address, tmp_path, "--accelerator", "A100") as refused:
        said = refused.communicate(timeout=300)[0]
    assert refused.returncode == 2, said
    assert "no node of the cluster has GPUs of the kind A100" in said
    assert "up to 2 x t4 of 2 CPUs and 1 GPU; up to 2 x h100 of 4 CPUs and 2 GPUs" in said
    assert ray.cluster_resources().get("GPU", 0) == 0

    asked = ("--accelerator", "H100", "--max-gpus", "1")
    studies = [start(name, address, tmp_path, *asked) for name in ("one", "two")]
    kinds: set[str] = set()
    held = 0.0

    def ended() -> bool:
        nonlocal held
        for node in ray.nodes():
            if node["Alive"]:
                kinds.update(n for n in node["Resources"] if n.startswith("accelerator_type:"))
        free = ray.available_resources().get("GPU", 0)
        held = max(held, ray.cluster_resources().get("GPU", 0) - free)
        return all(study.poll() is not None for study in studies)

    assert until(ended, 900)
    for study in studies:
        said = study.communicate()[0]
        assert study.returncode == 0, said
        assert "asked for GPUs of the kind H100, at most 1 GPUs" in said
    assert kinds == {"accelerator_type:H100"}
    assert 1 <= held <= 2
    assert until(lambda: ray.cluster_resources().get("GPU", 0) == 0), ray.nodes()
