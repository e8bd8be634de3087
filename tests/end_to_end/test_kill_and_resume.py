"""A driver killed in the middle. Oracle: the same study, uninterrupted."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from tests.fixtures.planning import Prepared

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(900)]

NO_RAY: Mapping[str, str] = {}  # a private one
NUM_STEPS = 24
STUDY = f"""
from seedbed import Factor, Recipe, Study, main
from seedbed.variants import CLIP

study = Study(
    name="tiny",
    question="Does it resume?",
    base=Recipe.paper(objective=CLIP),
    factors=(Factor("depth", at="text.layers", levels=(1, 2)),),
    responses=("zeroshot/top1_of_100", "cost/device_hours"),
    seeds=2,
    scales={{"smoke": {{"budget.samples": {NUM_STEPS} * 64, "image.name": "test_resnet"}}}},
)

if __name__ == "__main__":
    main(study)
"""


def command(
    folder: Path, *arguments: str, joins: Mapping[str, str] = NO_RAY
) -> tuple[list[str], dict[str, str]]:
    """A driver in a temporary folder of its own; Ray's sockets need a shorter path."""
    own = ("RAY_TMPDIR", "RAY_worker_niceness")
    kept = {n: v for n, v in os.environ.items() if not n.startswith("RAY_") or n in own}
    environment = kept | {
        "TMPDIR": str(folder / "temporary"),
        "SEEDBED_HOME": str(folder / "home"),
        "RAY_AUTH_MODE": "disabled",
        "SEEDBED_CHECKPOINT_SECONDS": "0",
        "SEEDBED_SCALE": "smoke",
        **joins,
    }
    return [sys.executable, str(folder / "tiny.py"), *arguments], environment


def start(
    folder: Path,
    shapes: Path,
    *arguments: str,
    checkpoint_seconds: float = 30,
    joins: Mapping[str, str] = NO_RAY,
) -> subprocess.Popen[str]:
    (folder / "temporary").mkdir(parents=True, exist_ok=True)
    (folder / "tiny.py").write_text(STUDY)
    line, environment = command(folder, "--data", str(shapes), *arguments, joins=joins)
    environment["SEEDBED_CHECKPOINT_SECONDS"] = f"{checkpoint_seconds:g}"
    return subprocess.Popen(
        line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def records(folder: Path) -> dict[str, dict[str, Any]]:
    paths = (folder / "home" / "results" / "tiny" / "trials").glob("*/record.json")
    return {path.parent.name: json.loads(path.read_text()) for path in paths}


def learned(record: dict[str, Any]) -> dict[str, Any]:
    """What a record says of learning: all but its cost in seconds."""
    metrics = {
        n: v for n, v in record["metrics"].items() if "seconds" not in n and "hours" not in n
    }
    return {"metrics": metrics, "curve": record["curve"], "order_hash": record["order_hash"]}


@pytest.fixture(scope="module")
def uninterrupted(
    tmp_path_factory: pytest.TempPathFactory, shapes: Path, prepared: Prepared
) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    prepared(folder / "home")
    done = start(folder, shapes)
    out, err = done.communicate(timeout=400)
    assert done.returncode == 0, err
    assert "Does it resume?" in out
    check_nothing_left(folder)
    return folder


def check_nothing_left(folder: Path) -> None:
    """In the temporary folder there is nothing but what torch compiled, a cache kept by name."""
    left = {path.name for path in (folder / "temporary").iterdir()}
    assert {name for name in left if not name.startswith("torchinductor_")} == set()


def killed(folder: Path, shapes: Path, number: int) -> dict[str, float]:
    """Start, send `number` to the driver once a trial is recorded and another is on its way.

    Returns when each record was written.
    """
    # After each step, which makes the study last long enough, too.
    driver = start(folder, shapes, checkpoint_seconds=0)
    cohorts = folder / "home" / "results" / "tiny" / "cohorts"
    for _ in range(6000):  # ten minutes, for a busy machine
        if records(folder) and list(cohorts.glob("*/checkpoint_*")):
            break
        assert driver.poll() is None, driver.communicate()
        time.sleep(0.1)
    driver.send_signal(number)
    driver.communicate(timeout=120)
    assert driver.returncode != 0
    trials = folder / "home" / "results" / "tiny" / "trials"
    return {key: (trials / key / "record.json").stat().st_mtime for key in records(folder)}


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGKILL, id="SIGKILL"),
        pytest.param(signal.SIGTERM, id="SIGTERM", marks=pytest.mark.long),
    ],
)
def test_the_same_command_ends_with_the_same_numbers_and_repeats_nothing(
    uninterrupted: Path,
    tmp_path: Path,
    shapes: Path,
    head: Mapping[str, str],
    prepared: Prepared,
    number: int,
) -> None:
    folder = tmp_path / "cut"
    prepared(folder / "home")
    before = killed(folder, shapes, number)
    assert 0 < len(before) < 4
    if number == signal.SIGTERM:
        assert "KILLED" in statuses(folder)
    again = start(folder, shapes, joins=head)
    _, err = again.communicate(timeout=400)
    assert again.returncode == 0, err
    # A worker outlives its killed driver for a moment, and what it finishes counts as done.
    assert len(before) <= done_already(err) < 4
    ours, theirs = records(folder), records(uninterrupted)
    assert {k: learned(r) for k, r in ours.items()} == {k: learned(r) for k, r in theirs.items()}
    trials = folder / "home" / "results" / "tiny" / "trials"
    assert {k: (trials / k / "record.json").stat().st_mtime for k in before} == before
    assert statuses(folder) == ["FINISHED"] * 5
    assert metric_steps_are_unique(folder)
    assert not list((folder / "temporary").glob("seedbed-*"))


def done_already(err: str) -> int:
    found = re.search(r"(\d+) done already", err)
    assert found, err
    return int(found[1])


def statuses(folder: Path) -> list[str]:
    _, found = runs(folder)
    # Analyses are runs of their own: one for each state in which the study was reported.
    studied = [run for run in found if run.data.tags["seedbed.kind"] != "analysis"]
    return sorted(run.info.status for run in studied)


def runs(folder: Path) -> tuple[MlflowClient, list[Any]]:
    client = MlflowClient(f"sqlite:///{folder}/home/mlflow.db")
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    return client, list(client.search_runs([experiment.experiment_id]))


def metric_steps_are_unique(folder: Path) -> bool:
    client, found = runs(folder)
    trials = [run for run in found if run.data.tags["seedbed.kind"] == "trial"]
    for run in trials:
        steps = [m.step for m in client.get_metric_history(run.info.run_id, "train/loss")]
        if len(steps) != len(set(steps)) or not steps:
            return False
    return True


def test_run_again_it_starts_no_ray_and_repeats_nothing(uninterrupted: Path, shapes: Path) -> None:
    before = records(uninterrupted)
    again = start(uninterrupted, shapes)
    _, err = again.communicate(timeout=120)
    assert again.returncode == 0
    assert "4 done already" in err
    assert "ray " not in err.lower()
    assert records(uninterrupted) == before


def test_report_is_rebuilt_from_mlflow_alone(uninterrupted: Path, shapes: Path) -> None:
    report = uninterrupted / "home" / "results" / "tiny"
    folders = [path.parent for path in report.glob("*/report/report.html")]
    assert len(folders) == 1
    before = (folders[0] / "trials.csv").read_bytes()
    (folders[0] / "report.html").unlink()
    elsewhere = uninterrupted / "elsewhere"
    again = start(uninterrupted, shapes, "--report", "--storage", str(elsewhere))
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    rebuilt = next(elsewhere.glob("tiny/*/report/trials.csv"))
    assert rebuilt.read_bytes() == before
    assert "Does it resume?" in out
    check_nothing_left(uninterrupted)
