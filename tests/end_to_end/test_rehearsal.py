"""A rehearsal through Ray, MLflow and the report. Oracle: the surface that was planted."""

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

from seedbed.exits import MISSING, PASSING
from seedbed.recall import recall

pytestmark = [pytest.mark.slow, pytest.mark.ray]
ROOT = Path(__file__).parent.parent.parent
STUDY = "studies/text_encoder_depth.py"
PRIMARY = "zeroshot/top1_of_100"
EFFECTS = {"depth=3": -0.03, "supervision=declip": 0.06, "depth=3:supervision=declip": 0.05}
NO_RAY: Mapping[str, str] = {}
SURFACE = {
    "mean": 0.4,
    "effects": EFFECTS,
    "others": {"zeroshot/top1": EFFECTS},  # what the claims are about
    "noise": 0.004,
    "seed_spread": 0.02,
    "failure_rate": 0.12,
    "divergence_rate": 0.08,
    "hours": 3.0,
    "random_state": 10,  # three trials fail, and one diverges
}


def rehearse(
    folder: Path, *arguments: str, joins: Mapping[str, str] = NO_RAY
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "SEEDBED_HOME": str(folder / "home"),
        "SEEDBED_STORAGE": str(folder / "results"),
        **joins,
    }
    surface = folder / "surface.json"
    surface.write_text(json.dumps(SURFACE))
    command = [sys.executable, STUDY, "--rehearse", str(surface), "--scale", "paper", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400
    )


@pytest.fixture(scope="module")
def rehearsed(
    tmp_path_factory: pytest.TempPathFactory, head: Mapping[str, str], prepared: Prepared
) -> tuple[Path, list[str]]:
    """The folder of a study that was rehearsed twice, and what each time printed."""
    folder = tmp_path_factory.mktemp("rehearsal")
    prepared(folder / "home")
    first = rehearse(folder, joins=head)
    assert first.returncode == PASSING, first.stderr  # workers were lost, as the surface says
    second = rehearse(folder, joins=head)
    assert second.returncode == MISSING, second.stderr  # the diverged ones stay so
    return folder, [first.stdout + first.stderr, second.stdout + second.stderr]


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    (path,) = (folder / "results").glob(f"text_encoder_depth_rehearsal/*/paper/report/{name}")
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_nothing_is_read_and_nothing_is_trained(rehearsed: tuple[Path, list[str]]) -> None:
    folder, printed = rehearsed
    assert "none is read: a rehearsal" in printed[0]
    assert not list((folder / "home").glob("demo*"))
    assert not list((folder / "results").rglob("model.*"))


def test_failed_trials_are_run_again_and_diverged_ones_are_not(
    rehearsed: tuple[Path, list[str]],
) -> None:
    folder, printed = rehearsed
    assert "rehearsed: the worker was lost" in printed[0]
    assert "rehearsed: the worker was lost" not in printed[1]
    left = {row["status"] for row in rows(folder, "missing_cells.csv")}
    assert left == {"diverged"}


def test_the_planted_effects_are_in_their_intervals(rehearsed: tuple[Path, list[str]]) -> None:
    found = {
        (row["factor"], row["level"]): row
        for row in rows(rehearsed[0], "contrasts.csv")
        if row["response"] == PRIMARY
    }
    for key, truth in {
        ("depth", "3"): -0.03 + 0.05 / 2,
        ("depth", "1"): 0.0,
        ("supervision", "declip"): 0.06 + 0.05 / 4,
    }.items():
        assert float(found[key]["ci_low"]) < truth < float(found[key]["ci_high"]), key
    crossed = next(
        row
        for row in rows(rehearsed[0], "interactions.csv")
        if row["response"] == PRIMARY and (row["kind"], row["a_level"]) == ("interaction", "3")
    )
    assert float(crossed["ci_low"]) < 0.05 < float(crossed["ci_high"])


def test_claims_are_judged_by_what_was_planted(rehearsed: tuple[Path, list[str]]) -> None:
    (path,) = (rehearsed[0] / "results").rglob("report/claims.json")
    judged = {claim["id"]: claim for claim in json.loads(path.read_text())}
    # 3 layers less 12: -0.5 points on average, +5 more under declip.
    assert judged["C3"]["verdict"] == "supported"
    assert {claim["stated"] for claim in judged.values()} == {"before the first trial"}


def test_mlflow_has_it_apart_from_what_was_trained(rehearsed: tuple[Path, list[str]]) -> None:
    folder, _ = rehearsed
    uri = f"sqlite:///{folder / 'home' / 'mlflow.db'}"
    client = MlflowClient(uri)
    names = {experiment.name for experiment in client.search_experiments()}
    assert "text_encoder_depth_rehearsal" in names and "text_encoder_depth" not in names
    recalled = recall("text_encoder_depth_rehearsal", tracking_uri=uri)
    assert recalled.design.rehearsal.effects == SURFACE["effects"]
    done = recalled.trials[recalled.trials["status"] == "completed"]
    assert done["cost/device_hours"].between(2.5, 3.5).all()
    experiment = client.get_experiment_by_name("text_encoder_depth_rehearsal")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    analyses = [run for run in runs if run.data.tags.get("seedbed.kind") == "analysis"]
    assert len(analyses) == 2  # before and after the failed ones were run again
    held = {file.path for file in client.list_artifacts(analyses[0].info.run_id)}
    assert {"report.html", "effects.csv", "claims.json", "figures"} <= held


def test_errors_of_seeds_and_of_pictures_stand_side_by_side(
    rehearsed: tuple[Path, list[str]],
) -> None:
    folder, _ = rehearsed
    found = {(row["factor"], row["level"]): row for row in rows(folder, "two_errors.csv")}
    contrasts = {
        (row["factor"], row["level"]): row
        for row in rows(folder, "contrasts.csv")
        if row["response"] == PRIMARY
    }
    assert set(found) == set(contrasts)
    for key, row in found.items():
        # Of 1,000 pictures a trial's score is known to half of a thousandth.
        assert abs(float(row["difference"]) - float(contrasts[key]["difference"])) < 1e-3
        assert float(row["test_se"]) > 0 and row["num_examples"] == "1000"


def test_the_report_is_rebuilt_from_mlflow(rehearsed: tuple[Path, list[str]]) -> None:
    folder, _ = rehearsed
    before = rows(folder, "effects.csv"), rows(folder, "two_errors.csv")
    again = rehearse(folder, "--report")
    assert "A rehearsal: no model was trained." in again.stdout.replace("\n", " ")
    assert (rows(folder, "effects.csv"), rows(folder, "two_errors.csv")) == before


def test_the_report_from_mlflow_draws_the_same_curves(rehearsed: tuple[Path, list[str]]) -> None:
    folder, _ = rehearsed
    (path,) = (folder / "results").rglob("figures/learning_curves.svg")
    before = path.read_text()
    assert before.count('class="curve mean') > 8
    path.unlink()
    rehearse(folder, "--report")
    assert path.read_text() == before
