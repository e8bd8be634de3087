"""`seedbed studies`, `retry` and `rm`. Oracle: folders written by hand, and what is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from seedbed.commands.seedbed import main
from seedbed.run.driver.failures import GivenUp, given_up, note_given_up
from seedbed.storage.folder import Folder
from seedbed.storage.held import LOCK_NAME
from seedbed.track.finished import forget_finished
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
    failures={"1": "out_of_memory", "3": "out_of_memory"},
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


def test_failures_of_a_cell_are_put_aside_and_wait_for_the_next_start(
    storage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store = written(storage)
    keys = [trial.key for trial in PLANNED.trials]
    at = ("--storage", storage)
    out = told(capsys, "retry", "small", "--cell", "depth=1, variant=clip", *at)
    assert "again   depth=1 variant=clip s=1: it had failed: out of memory" in out
    assert "go on   python studies/small.py --scale smoke" in out
    assert store.names("trials", keys[1]) == ["failed_before.json"]
    assert store.names("trials", keys[3]) == ["failure.json"]
    assert store.names("trials", keys[2]) == ["record.json"]
    assert store.read_json(STATE_NAME)["outcomes"] == "c.dficcc"
    assert store.read_json(STATE_NAME)["failures"] == {"3": "out_of_memory"}
    out = told(capsys, "retry", "small", "--seed", "0", *at)
    assert "no trial of small has failed there" in out
    out = told(capsys, "retry", "small", *at)
    assert "depth=1 variant=slip s=1" in out and "diverged 1, which stay" in out
    assert store.read_json(STATE_NAME)["outcomes"] == "c.d.iccc"


def test_candidates_that_a_search_has_given_up_are_tried_again(
    storage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store, at = written(storage, replace(STATE, outcomes="c" * 8)), ("--storage", storage)
    # The last round had nothing to train in the cells with depth=3.
    left_out = {
        f"{depth:016x}": GivenUp({"depth": depth, "variant": "clip"}, f"depth={depth}", "no mount")
        for depth in (1, 3)
    }
    note_given_up(store, "smoke", left_out)
    for key in left_out:
        store.write_json({"reason": "no mount"}, "trials", key, "failure.json")
    out = told(capsys, "retry", "small", "--seed", "0", *at)
    assert "no trial of small has failed there" in out
    out = told(capsys, "retry", "small", "--cell", "depth=3", *at)
    assert "again   depth=3: the search had given it up: no mount" in out
    assert "go on   python studies/small.py --scale smoke" in out
    assert list(given_up(store, "smoke")) == [f"{1:016x}"]
    assert store.names("trials", f"{3:016x}") == ["failed_before.json"]
    assert "depth=1: the search" in told(capsys, "retry", "small", *at)
    assert given_up(store, "smoke") == {}
    assert "no trial of small has failed" in told(capsys, "retry", "small", *at)


@pytest.mark.parametrize(
    ("said", "near"),
    [
        (("--cell", "variant=clp"), "Did you mean 'variant=clip'?"),
        (("--cell", "depth=1 depth=2"), "Did you mean 'depth=1 variant="),
        (("--seed", "7"), "Known: 0, 1."),
    ],
)
def test_a_cell_or_seed_that_is_not_there_is_refused_with_the_nearest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], said: tuple[str, ...], near: str
) -> None:
    written(str(tmp_path))
    assert near in refused(capsys, "retry", "small", *said, "--storage", str(tmp_path))


def test_a_removed_study_is_gone_and_its_neighbour_is_not(
    storage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store, other = written(storage), written(storage, name="small_too")
    before = other.sizes()
    num_bytes = store.sizes("cohorts")
    assert "--yes" in refused(capsys, "rm", "small", "--storage", storage)
    assert store.sizes("cohorts") == num_bytes
    out = told(capsys, "rm", "small", "--yes", "--storage", storage)
    assert "7 trials (5 with a record)" in out and "5.0 kB of them checkpoints" in out
    assert store.sizes() == {}  # a server of buckets may list an empty folder for a while
    assert other.sizes() == before


START = """
import sys
from seedbed.errors import StudyHeldError
from seedbed.storage.folder import Folder
from seedbed.storage.lock import study_lock
store = Folder(sys.argv[1])
try:
    with study_lock(store):
        store.write_json({}, "planned.json")
except StudyHeldError:
    sys.exit(75)
"""


@pytest.mark.slow
def test_a_start_while_a_study_is_removed_is_refused_and_a_later_one_is_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last thing that is removed before the lock is where the start comes in between."""
    store = written(str(tmp_path))
    statuses: list[int] = []

    def start() -> int:
        return subprocess.run([sys.executable, "-c", START, store.uri], check=False).returncode

    def forget(top: Folder, study: str) -> None:
        statuses.append(start())
        forget_finished(top, study)

    monkeypatch.setattr("seedbed.track.finished.forget_finished", forget)
    told(capsys, "rm", "small", "--yes", "--storage", str(tmp_path))
    assert statuses == [75]
    assert not Path(store.path()).exists()
    assert start() == 0
    assert sorted(store.names()) == [LOCK_NAME, "planned.json"]


@pytest.mark.parametrize("command", [("retry",), ("rm", "--yes")])
def test_a_study_that_runs_is_neither_removed_nor_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    store = written(str(tmp_path), replace(STATE, phase="running", outcomes="cfdfrrcc"))
    before = store.sizes()
    name, *rest = command
    said = refused(capsys, name, "small", *rest, "--storage", str(tmp_path), status=75)
    assert "seedbed stop small" in said
    assert store.sizes() == before
