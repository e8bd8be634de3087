"""What chaos counts. Oracles: steps by hand, and the loss that is not counted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.chaos.counted import FOLDER, Counted, note, notes
from tests.chaos.found import Found, waits
from tests.chaos.victims import _is

from seedbed.data.views import IMAGE, TEXT
from seedbed.model.gather import Gather
from seedbed.model.term import Feature, Features
from seedbed.model.terms.infonce import InfoNCE


def test_a_wait_is_until_a_new_process_steps_where_one_was_ended() -> None:
    first, second = [1.0, 2.0, 3.0], [9.0, 10.0]
    other = [1.5, 4.0, 6.0]  # which goes on beside them
    kills = [(3.5, "worker"), (5.0, "mlflow"), (20.0, "s3")]
    assert waits(kills, [first, second, other]) == {"worker": [5.5], "mlflow": [1.0]}


def test_a_kind_that_was_never_killed_fails_and_is_named() -> None:
    kills = [(1.0, "worker"), (2.0, "raylet")]
    assert not Found(kills=kills, asked=("worker", "raylet")).failed
    spared = Found(kills=kills, asked=("worker", "holder", "raylet"))
    assert spared.failed and spared.spared == ["holder"]
    assert "NEVER KILLED: holder" in spared.table()
    assert Found(kills=kills, asked=("worker",), differing=["steps"]).failed
    # A kill that came too late to disturb anything is not taken for one that cost no time.
    table = Found(kills=kills, again={"worker": [2.0, 4.0]}).table().splitlines()
    assert table[1].split() == ["raylet", "1", "nothing", "was", "trained", "after", "it"]
    assert table[2].split() == ["worker", "1", "3.0", "s", "4.0", "s"]


def test_parts_of_the_head_are_told_from_those_of_other_nodes() -> None:
    ray = "/venv/ray"
    lines = {
        "gcs_server": ("gcs_server", [f"{ray}/core/src/ray/gcs/gcs_server", "--log_dir=/tmp"]),
        "monitor": ("python", ["python", "-u", f"{ray}/autoscaler/v2/monitor.py", "--gcs=x"]),
        "raylet": ("raylet", [f"{ray}/core/src/ray/raylet/raylet", "--node_id=ab"]),
        "": ("raylet", [f"{ray}/core/src/ray/raylet/raylet", "--node_id=cd", "--head"]),
        "driver": ("python", ["python", "study.py"]),
        "worker": ("ray::RayTrainW", ["ray::RayTrainWorker.train"]),
    }
    for kind, (name, title) in lines.items():
        found = {one for one in lines if one and _is(one, name, title, "study.py")}
        assert found == ({kind} if kind else set())
    # Beside the monitor there is one of logs.
    assert not _is("monitor", "python", ["python", f"{ray}/_private/log_monitor.py"], "")


def test_every_step_is_noted_and_the_loss_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    torch.manual_seed(0)
    views = {Feature(IMAGE): torch.randn(4, 8), Feature(TEXT): torch.randn(4, 8)}
    assert [len(times) for _, times in notes(tmp_path)] == []
    losses = []
    for term in (InfoNCE(), Counted(), Counted()):
        scales = {term.temperature.name: torch.tensor(10.0)}
        losses.append(term.loss(Features(views, scales, Gather()), torch.nn.ModuleDict()))
    assert all(torch.equal(loss, losses[0]) for loss in losses)
    ((_, times),) = notes(tmp_path)
    assert len(times) == 2 and times == sorted(times)
    note(tmp_path)
    assert sum(len(times) for _, times in notes(tmp_path)) == 3
