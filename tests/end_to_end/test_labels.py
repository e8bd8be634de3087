"""Numbers as levels, through Ray, files and MLflow. Oracle: the levels as the study has them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tests.fixtures.planning import Prepared

from seedbed.recall import recall

pytestmark = [pytest.mark.slow, pytest.mark.ray]
STUDY = """
from seedbed import Factor, Recipe, Study, main
from seedbed.variants import SLIP

study = Study(
    name="weights",
    question="How much of the images' own supervision?",
    base=Recipe.paper(objective=SLIP),
    factors=(
        Factor("w", at="objective.simclr.weight", levels=(0.0, 1 / 3, 1.0, 1.0000001)),
        Factor("lr", at="optimizer.lr", levels={2**53: 1e-3, 2**53 + 1: 2e-3}),
    ),
    seeds=1,
)
if __name__ == "__main__":
    main(study)
"""
NO_RAY: Mapping[str, str] = {}
WEIGHTS = [0.0, 1 / 3, 1.0, 1.0000001]


def run(
    folder: Path, *command: str, joins: Mapping[str, str] = NO_RAY
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "SEEDBED_HOME": str(folder / "home"),
        "SEEDBED_STORAGE": str(folder / "results"),
        **joins,
    }
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
    )


@pytest.fixture(scope="module")
def rehearsed(
    tmp_path_factory: pytest.TempPathFactory, head: Mapping[str, str], prepared: Prepared
) -> Path:
    folder = tmp_path_factory.mktemp("labels")
    prepared(folder / "home")
    (folder / "weights.py").write_text(STUDY)
    done = run(folder, "weights.py", "--rehearse", joins=head)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_report_from_mlflow_has_every_level_once(rehearsed: Path) -> None:
    command = ("-m", "seedbed.commands.seedbed", "report", "weights_rehearsal", "--out", "again")
    done = run(rehearsed, *command)
    assert done.returncode == 0, done.stderr
    with (rehearsed / "again" / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8 and {row["status"] for row in rows} == {"completed"}
    assert sorted({float(row["w"]) for row in rows}) == WEIGHTS
    assert {int(row["lr"]) for row in rows} == {2**53, 2**53 + 1}
    table = recall(
        "weights_rehearsal", tracking_uri=f"sqlite:///{rehearsed / 'home' / 'mlflow.db'}"
    ).trials
    assert list(table["w"].cat.categories) == WEIGHTS
    assert table.groupby(["w", "lr"], observed=True).size().tolist() == [1] * 8


def test_runs_carry_a_level_as_it_is_written_everywhere(rehearsed: Path) -> None:
    client = MlflowClient(f"sqlite:///{rehearsed / 'home' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("weights_rehearsal")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.`seedbed.kind` = 'trial'")
    wrote = {"0", "0.3333333333333333", "1", "1.0000001"}
    assert {run.data.params["w"] for run in runs} == wrote
    assert {json.loads(run.data.tags["seedbed.cell"])["w"] for run in runs} == set(WEIGHTS)


def test_a_report_that_fails_leaves_no_run_behind_that_says_it_is_running(
    rehearsed: Path,
) -> None:
    record = next((rehearsed / "results").rglob("record.json"))
    whole = record.read_text()
    values = json.loads(whole)
    record.write_text(json.dumps(values | {"seed": 75}))
    done = run(rehearsed, "weights.py", "--rehearse")
    record.write_text(whole)
    assert done.returncode == 2 and "its record says 75" in done.stderr, done.stderr
    client = MlflowClient(f"sqlite:///{rehearsed / 'home' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("weights_rehearsal")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert "RUNNING" not in {run.info.status for run in runs}
