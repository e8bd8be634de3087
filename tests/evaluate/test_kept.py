"""Results of `seedbed evaluate` in files and in MLflow. Oracles: what it prints, clip_benchmark's
own `build`, and MLflow's own client."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from seedbed.commands import seedbed as command
from seedbed.track.mlflow.evaluations import EXPERIMENT

pytestmark = pytest.mark.slow


def evaluated(
    capsys: pytest.CaptureFixture[str], *line: str, status: int = 0
) -> tuple[list[dict[str, object]], str]:
    assert command.main(["evaluate", "--json", *line]) == status
    told = capsys.readouterr()
    return [json.loads(one) for one in told.out.splitlines()], told.err


def test_results_stand_in_a_folder_and_in_mlflow_with_each_example(
    classification: Path,
    captions: Path,
    tiny: Callable[[int], str],
    home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from clip_benchmark import cli
    from mlflow import MlflowClient

    out, uri = tmp_path / "out", f"sqlite:///{home}/mlflow.db"
    line = [f"open_clip:{tiny(n)}" for n in (0, 1)]
    line += ["--tests", str(classification), str(captions), "--out", str(out)]
    found, _ = evaluated(capsys, *line)
    assert len(found) == 4
    # Their own program makes its table of the files.
    table = tmp_path / "all.csv"
    monkeypatch.setattr(sys, "argv", ["x", "build", str(out), "--output", str(table)])
    cli.main()
    rows = list(csv.DictReader(table.open()))
    weights = [tiny(n).partition("@")[2] for n in (0, 1)]
    assert sorted({row["pretrained"] for row in rows}) == sorted(weights) and len(rows) == 4
    # The examples are those that the share was counted in.
    acc1 = found[0]["metrics"]["acc1"]  # type: ignore[index]
    (examples,) = out.glob(f"{classification.name}_*0.pt_*.examples.parquet")
    assert (pq.read_table(examples)["above"].to_numpy() == 0).mean() == acc1
    (asked,) = out.glob(f"{captions.name}_*0.pt_*.captions.parquet")
    rank = pq.read_table(asked)["picture_rank"].to_numpy()
    recalls = found[2]["metrics"]
    assert (rank < 5).mean() == recalls["image_retrieval_recall@5"]  # type: ignore[index]
    assert len(rank) == found[2]["n_of"]["image_retrieval_recall@5"] == 180  # type: ignore[index]
    # So is MLflow's, in which the same result given again is one run.
    evaluated(capsys, *line)
    mlflow = MlflowClient(uri)
    experiment = mlflow.get_experiment_by_name(EXPERIMENT)
    runs = mlflow.search_runs([experiment.experiment_id])
    assert len(runs) == 4 and {run.info.status for run in runs} == {"FINISHED"}
    told = {(run.data.params["model"], run.data.params["dataset"]): run for run in runs}
    run = told[f"open_clip:{tiny(0)}", classification.name]
    assert run.data.metrics["acc1"] == acc1
    assert run.data.metrics["chance/acc1"] == pytest.approx(1 / 7)
    assert run.data.params["protocol.interpolation"] == "bicubic"
    names = {file.path for file in mlflow.list_artifacts(run.info.run_id)}
    assert names == {"result.json", "examples.parquet"}


def test_of_several_models_one_that_has_diverged_has_no_result_and_the_others_theirs(
    classification: Path,
    captions: Path,
    tiny: Callable[[int], str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    architecture, _, path = tiny(0).partition("@")
    weights = torch.load(path)
    weights["visual.proj"].fill_(float("nan"))
    torch.save(weights, tmp_path / "nan.pt")
    line = [f"open_clip:{architecture}@{tmp_path}/nan.pt", f"open_clip:{tiny(1)}", "--untracked"]
    line += ["--tests", str(classification), str(captions), "--probe"]
    found, said = evaluated(capsys, *line, status=1)
    assert [one["task"] for one in found] == [
        "zeroshot_classification",
        "linear_probe",
        "zeroshot_retrieval",
    ]
    assert all(one["model"] == f"open_clip:{tiny(1)}" for one in found)
    assert said.count("nan.pt on") == said.count("a score is no number") == 3


def test_an_mlflow_that_is_away_costs_no_result(
    classification: Path, tiny: Callable[[int], str], capsys: pytest.CaptureFixture[str]
) -> None:
    line = [f"open_clip:{tiny(0)}", "--tests", str(classification)]
    found, said = evaluated(capsys, *line, "--tracking-uri", "http://127.0.0.1:9")
    assert len(found) == 1 and "caution" in said and "127.0.0.1:9" in said
