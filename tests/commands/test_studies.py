"""`seedbed studies`, `retry` and `rm`. Oracle: folders written by hand, and what is left."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from seedbed.commands.seedbed import main
from seedbed.storage.folder import Folder
from seedbed.track.state import PLANNED_NAME, STATE_NAME, StudyState, planned_trials

PLANNED = planned_trials(
    "small",
    "smoke",
    [
        (f"{variant}-{depth}-{seed}", {"depth": depth, "variant": variant}, seed, 1_000)
        for depth in (1, 2)
        for variant in ("clip", "slip")
        for seed in (0, 1)
    ],
)
STATE = StudyState(
    token="this start", driver="process 7 on head", job="", phase="ended",
    planned=PLANNED.digest, outcomes="cfdficcc", every_seconds=2.0,
    reasons={"1": "out of memory", "2": "the loss was nan", "3": "out of memory"},
    since="2026-01-02T03:04:05+00:00", command="python studies/small.py --scale smoke",
)  # fmt: skip


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.s3)])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    place = str(tmp_path / "results")
    if request.param == "bucket":
        request.getfixturevalue("s3")
        from seedbed.storage import client

        bucket = f"b{uuid.uuid4().hex[:12]}"
        client.client().create_bucket(Bucket=bucket)
        place = f"s3://{bucket}/results"
    yield place


def written(storage: str, state: StudyState = STATE, name: str = "small") -> Folder:
    """A study with a record for each trial that has one, failures, and a run's checkpoint."""
    store = Folder(storage).sub(*name.split("/"))
    for trial, letter in zip(PLANNED.trials, state.outcomes, strict=True):
        if letter in "cd":
            store.write_bytes(b"x" * 1_000, "trials", trial.key, "record.json")
        if letter == "f":
            store.write_json({"reason": "out of memory"}, "trials", trial.key, "failure.json")
    store.write_bytes(b"x" * 5_000, "cohorts", "run", "checkpoint_0", "part.pt")
    store.write_json({"trials": [PLANNED.trials[4].key], "since": ""}, "cohorts", "run.json")
    store.write_json(PLANNED.to_json(), PLANNED_NAME)
    store.write_json(state.to_json(), STATE_NAME)
    return store


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 2) -> str:
    assert main(arguments) == status
    return capsys.readouterr().err


def test_every_study_of_a_storage_is_listed_with_its_outcomes_and_bytes(
    storage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store = written(storage)
    later = replace(STATE, since="2026-05-01T00:00:00+00:00", phase="complete", outcomes="c" * 8)
    written(storage, later, name="small_rehearsal/abc")
    Folder(storage).write_json({}, "not_a_study", "something.json")
    broken = Folder(storage).sub("broken")
    broken.write_json({"schema": 99}, STATE_NAME)
    found = json.loads(told(capsys, "studies", "--storage", storage, "--json"))
    assert [one["name"] for one in found] == ["small_rehearsal/abc", "small", "broken"]
    first, second, third = found
    assert (first["completed"], first["phase"]) == (8, "complete")
    assert second["num_bytes"] == sum(store.sizes().values())
    assert (second["num_cells"], second["num_seeds"], second["num_trials"]) == (4, 2, 8)
    assert {name: second[name] for name in ("completed", "failed", "diverged", "running")} == {
        "completed": 4, "failed": 2, "diverged": 1, "running": 0,
    }  # fmt: skip
    assert "schema 99" in third["error"]
    rows = [line.split() for line in told(capsys, "studies", "--storage", storage).splitlines()]
    assert rows[2][:9] == ["small", "smoke", "4", "x", "2", "4", "of", "8", "3"]
    assert rows[2][10:13] == ["ended", "2026-01-02", "03:04:05"]


def test_a_study_whose_driver_is_gone_is_listed_as_lost_and_nothing_of_it_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running = replace(STATE, phase="running", outcomes="cfdfrrcc")
    store = written(str(tmp_path), running)
    then = time.time() - 60
    os.utime(store.path(STATE_NAME), (then, then))
    (found,) = json.loads(told(capsys, "studies", "--storage", str(tmp_path), "--json"))
    assert (found["phase"], found["running"], found["interrupted"]) == ("lost", 0, 2)


def test_an_empty_storage_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no study" in told(capsys, "studies", "--storage", str(tmp_path))
