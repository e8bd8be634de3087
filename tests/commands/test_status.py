"""`seedbed status`. Oracle: states and records written by hand."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from seedbed.commands.seedbed import main
from seedbed.storage.folder import Folder
from seedbed.track.state import (
    PLANNED_NAME,
    STATE_NAME,
    STOP_NAME,
    CohortState,
    Planned,
    StudyState,
    planned_trials,
)

SAMPLES = 1_000


def planned(num_depths: int = 2, num_seeds: int = 2) -> Planned:
    trials = [
        (f"key-{depth}-{seed}", {"depth": depth}, seed, SAMPLES)
        for depth in range(1, num_depths + 1)
        for seed in range(num_seeds)
    ]
    return planned_trials("small", "smoke", trials)


RUNS = CohortState(
    trials=(2, 3), seed=1, samples=250, total_samples=SAMPLES, samples_per_second=50.0,
    recoveries=1, job_seconds=5.0, total_seconds=20.0,
)  # fmt: skip
STATE = StudyState(
    token="this start", driver="process 7 on head, since noon", job="", phase="running",
    planned=planned().digest, outcomes="cfrr", every_seconds=2.0, reasons={"1": "out of memory"},
    cohorts=(RUNS,), samples_left=750, starts=2, recoveries=3, job_seconds=65.0,
    total_seconds=130.0,
)  # fmt: skip


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEEDBED_STORAGE", str(tmp_path / "results"))
    return tmp_path / "results"


def written(
    results: Path, state: StudyState = STATE, *, name: str = "small", age_seconds: float = 0
) -> Folder:
    store = Folder(str(results / name))
    store.write_json(planned().to_json(), PLANNED_NAME)
    store.write_json(state.to_json(), STATE_NAME)
    then = time.time() - age_seconds
    os.utime(store.path(STATE_NAME), (then, then))
    return store


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def test_it_shows_every_trial_the_pace_what_is_left_and_why_some_failed(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(results)
    out = told(capsys, "status", "small")
    rows = [line.split() for line in out.splitlines()]
    assert ["1", "done", "failed"] in rows
    assert ["2", "25", "%", "25", "%"] in rows
    assert "1 done, 1 failed, 2 running; 38 %, 50 samples/s, 0:15 left" in out
    assert "1:05 of training in 2:10, 2 starts, 3 recoveries" in out
    assert "failed  depth=1 s=1: out of memory" in out


def test_failures_have_their_class_and_of_a_thousand_trials_they_are_counted_by_it(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    many = planned(200, 5)
    store = Folder(str(results / "many"))
    store.write_json(many.to_json(), PLANNED_NAME)
    classes = {str(n): "out_of_memory" if n < 20 else "bad_data" for n in range(30)}
    state = replace(
        STATE, phase="ended", planned=many.digest, outcomes="f" * 30 + "d" * 3 + "c" * 967,
        reasons=dict.fromkeys(classes, "no room"), failures=classes, cohorts=(),
    )  # fmt: skip
    store.write_json(state.to_json(), STATE_NAME)
    lines = told(capsys, "status", "many").splitlines()
    assert len(lines) < 90
    assert "failed (out of memory)  depth=1 s=0: no room" in lines
    assert "20 failed (out of memory), 10 failed (bad data), 3 diverged" in lines
    trials = json.loads(told(capsys, "status", "many", "--json"))["trials"]
    assert [trials[n]["failure"] for n in (0, 29, 32, 999)] == [
        "out_of_memory", "bad_data", "diverged", "",
    ]  # fmt: skip


def test_json_has_the_same_for_a_program(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(results)
    found = json.loads(told(capsys, "status", "small", "--json"))
    assert [trial["status"] for trial in found["trials"]] == [
        "completed", "failed", "running", "running",
    ]  # fmt: skip
    assert [trial["progress"] for trial in found["trials"]] == [1, 0, 0.25, 0.25]
    assert found["trials"][2]["cell"] == {"depth": 2}
    assert (found["seconds_left"], found["recoveries"], found["lost"]) == (15, 3, False)
    assert (found["job_seconds"], found["total_seconds"]) == (65, 130)


def test_of_a_driver_that_is_gone_it_says_so_and_counts_what_its_workers_left(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = written(results, age_seconds=60)
    store.write_json(
        {"status": "diverged", "reason": "no number"}, "trials", "key-2-0", "record.json"
    )
    store.write_json({"status": "completed"}, "trials", "key-2-1", "record.json")
    out = told(capsys, "status", "small")
    assert "process 7 on head, since noon) was last heard of 1:00 ago" in out
    assert "2 done, 1 diverged, 1 failed" in out
    assert "diverged  depth=2 s=0: no number" in out
    assert "does not run" in told(capsys, "stop", "small")
    assert not store.exists(STOP_NAME)


def test_a_name_that_was_never_started_is_refused_with_the_nearest_one(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(results)
    assert main(["status", "smal"]) == 2
    assert "Did you mean 'small'?" in capsys.readouterr().err


def test_a_rehearsal_is_found_by_its_name_and_two_of_them_are_told_apart(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(results, name="small_rehearsal/abc")
    assert "small_rehearsal/abc" in told(capsys, "status", "small_rehearsal")
    written(results, name="small_rehearsal/def")
    assert main(["status", "small_rehearsal"]) == 2
    assert "small_rehearsal/def" in capsys.readouterr().err
    assert "1 failed" in told(capsys, "status", "small_rehearsal/def")


@pytest.mark.slow
def test_ten_thousand_trials_are_one_small_file(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    many = planned(num_depths=2_000, num_seeds=5)
    store = Folder(str(results / "small"))
    store.write_json(many.to_json(), PLANNED_NAME)
    state = replace(STATE, planned=many.digest, outcomes="c" * 9_000 + "r" * 8 + "." * 992)
    store.write_json(replace(state, cohorts=(RUNS,) * 100).to_json(), STATE_NAME)
    assert (store.num_bytes(STATE_NAME) or 0) < 60_000  # written again every few seconds
    out = told(capsys, "status", "small")
    assert "10,000: 9,000 done, 8 running, 992 waiting" in out
    assert "and 1,960 more" in out


def test_watching_ends_with_the_study(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(results, replace(STATE, phase="complete", outcomes="cccc", cohorts=()), age_seconds=99)
    lines = told(capsys, "status", "small", "--json", "--watch").splitlines()
    assert [json.loads(line)["counts"] for line in lines] == [{"completed": 4}]
