"""A study that tunes its cells, on a real Ray, its driver killed in the middle of the search.

Oracle: the records that are left. A search asked again from its seed, and told what they say, must
choose what the study chose; what a killed driver had finished must stay as it was.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import os
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

from seedbed.plan.plan import plan
from seedbed.plan.tuned import Tuned
from seedbed.recall import recall
from seedbed.recipe.scale import SCALES
from seedbed.study.record import TrialRecord
from seedbed.tuning.rounds import tune_cells

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.ray, pytest.mark.timeout(600)]
LR = "optimizer.lr"
STUDY = """
from seedbed import Factor, Recipe, Search, Study, Tuning, main
from seedbed.variants import CLIP

study = Study(
    name="tiny",
    question="Is it tuned?",
    base=Recipe.paper(objective=CLIP),
    factors=(Factor("depth", at="text.layers", levels=(1, 2)),),
    responses=("zeroshot/top1_of_100", "cost/device_hours"),
    seeds=2,
    nuisance=(Search("optimizer.lr", low=1e-4, high=1e-2, log=True),),
    tuning=Tuning(trials=3, sampler="tpe", rounds=2),
    scales={"smoke": {"budget.samples": 10 * 64, "image.name": "test_resnet"}},
)

if __name__ == "__main__":
    main(study)
"""


def started(folder: Path, shapes: Path, joins: Mapping[str, str]) -> subprocess.Popen[str]:
    (folder / "tiny.py").write_text(STUDY)
    environment = os.environ | {
        "SEEDBED_HOME": str(folder / "home"),
        "SEEDBED_SCALE": "smoke",
        "SEEDBED_CHECKPOINT_SECONDS": "0",
        **joins,
    }
    return subprocess.Popen(
        [sys.executable, str(folder / "tiny.py"), "--data", str(shapes)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def records(folder: Path) -> dict[str, dict[str, Any]]:
    paths = (folder / "home" / "results" / "tiny" / "trials").glob("*/record.json")
    return {path.parent.name: json.loads(path.read_text()) for path in paths}


@pytest.fixture(scope="module")
def tuned(
    tmp_path_factory: pytest.TempPathFactory,
    shapes: Path,
    head: Mapping[str, str],
    prepared: Prepared,
) -> tuple[Path, dict[str, dict[str, Any]], str]:
    """The folder of a study that was killed in its search and started again; what was recorded
    before, and what the second start printed."""
    folder = tmp_path_factory.mktemp("tuned")
    prepared(folder / "home")
    driver = started(folder, shapes, head)
    for _ in range(1800):
        if records(folder):
            break
        assert driver.poll() is None, driver.communicate()
        time.sleep(0.1)
    driver.send_signal(signal.SIGKILL)
    driver.communicate(timeout=60)
    before = records(folder)
    again = started(folder, shapes, head)
    out, err = again.communicate(timeout=400)
    assert again.returncode == 0, err
    return folder, before, out + err


Tuning = tuple[Path, dict[str, dict[str, Any]], str]


def test_the_same_command_goes_on_in_the_search_and_repeats_nothing(tuned: Tuning) -> None:
    folder, before, printed = tuned
    after = records(folder)
    assert before and all(record["role"] == "search" for record in before.values())
    assert {key: after[key] for key in before} == before
    # Two cells with three candidates each, then two seeds each.
    searched = [record for record in after.values() if record.get("role") == "search"]
    assert (len(searched), len(after)) == (6, 6 + 4)
    assert {record["seed"] for record in searched} == {10_000}
    assert "tuned   depth=1: optimizer.lr" in printed


def test_a_search_asked_again_and_told_what_was_recorded_chooses_the_same(
    tuned: Tuning, shapes: Path
) -> None:
    folder, _, _ = tuned
    spec = importlib.util.spec_from_file_location("tiny", folder / "tiny.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    set_by_hand = {"corpus.uri": str(shapes), "corpus.caption": "txt"}
    kept = {key: TrialRecord.from_json(values) for key, values in records(folder).items()}
    chosen = plan(module.study, SCALES["smoke"], overrides=set_by_hand)
    again = tune_cells(chosen, lambda round_plan, number: kept)
    (path,) = (folder / "home" / "results" / "tiny").glob("*/tuning.json")
    assert Tuned.from_json(json.loads(path.read_text())) == again
    assert {c.status for one in again.cells for c in one.candidates} == {"completed"}
    compared = [record for record in kept.values() if not record.role]
    assert {(r.cell, r.recipe[LR]) for r in compared} == {
        (one.cell, one.values[LR]) for one in again.cells
    }


def test_candidates_of_both_cells_trained_as_one_cohort_a_round(tuned: Tuning) -> None:
    searched = [r for r in records(tuned[0]).values() if r.get("role") == "search"]
    assert len({record["order_hash"] for record in searched}) == 1
    cohorts: dict[str, set[str]] = {}
    for record in searched:
        cohorts.setdefault(record["cohort"], set()).add(str(record["cell"]["depth"]))
    assert len(cohorts) <= 3  # two rounds, and what the killed one left of the first
    assert {"1", "2"} in cohorts.values()


def test_trials_of_the_search_are_in_no_comparison_and_have_an_experiment_of_their_own(
    tuned: Tuning,
) -> None:
    folder, _, _ = tuned
    uri = f"sqlite:///{folder / 'home' / 'mlflow.db'}"
    recalled = recall("tiny", tracking_uri=uri)
    assert sorted(recalled.trials["seed"]) == [0, 0, 1, 1]
    assert recalled.design.tuned is not None and len(recalled.design.tuned.cells) == 2
    client = MlflowClient(uri)
    roles = {}
    for name in ("tiny", "tiny_search"):
        experiment = client.get_experiment_by_name(name)
        assert experiment is not None
        runs = client.search_runs([experiment.experiment_id])
        trials = [run for run in runs if run.data.tags.get("seedbed.kind") == "trial"]
        roles[name] = [run.data.tags.get("seedbed.role", "") for run in trials]
        if name == "tiny_search":
            assert len({run.data.params[LR] for run in trials}) >= 3
    assert roles == {"tiny": [""] * 4, "tiny_search": ["search"] * 6}


def test_the_report_shows_each_cells_search(tuned: Tuning) -> None:
    (report,) = (tuned[0] / "home" / "results" / "tiny").glob("*/report")
    with (report / "tuning.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["depth"] for row in rows] == ["1"] * 3 + ["2"] * 3
    assert [row["round"] for row in rows] == ["1", "1", "2"] * 2
    assert "## Tuning" in (report / "report.md").read_text(encoding="utf-8")
    assert (report / "figures" / "tuning.svg").exists()
    with (report / "trials.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 4
