"""Results of `seedbed evaluate` in files and in MLflow. Oracles: what it prints, clip_benchmark's
own `build`, and MLflow's own client."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from tests.fixtures.models import VIT, described, finished

from seedbed.commands import seedbed as command
from seedbed.model.objective import Objective
from seedbed.recipe.recipe import Recipe
from seedbed.track.mlflow.evaluations import EXPERIMENT
from seedbed.variants import CLIP, UNIFIED

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


def test_other_weights_of_one_name_are_another_result(
    classification: Path,
    tiny: Callable[[int], str],
    home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from mlflow import MlflowClient

    architecture = tiny(0).partition("@")[0]
    here, out = tmp_path / "weights.pt", tmp_path / "out"
    for number in (0, 1):
        here.write_bytes(Path(tiny(number).partition("@")[2]).read_bytes())
        line = [f"open_clip:{architecture}@{here}", "--tests", str(classification)]
        evaluated(capsys, *line, "--out", str(out))
    mlflow = MlflowClient(f"sqlite:///{home}/mlflow.db")
    experiment = mlflow.get_experiment_by_name(EXPERIMENT)
    assert len(mlflow.search_runs([experiment.experiment_id])) == 2
    assert len(list(out.glob("*.json"))) == 2


def test_a_long_name_is_cut_and_what_was_measured_still_told_apart(
    classification: Path,
    tiny: Callable[[int], str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    deep = tmp_path / ("x" * 120) / ("y" * 120)
    deep.mkdir(parents=True)
    architecture, _, path = tiny(0).partition("@")
    (deep / "0.pt").write_bytes(Path(path).read_bytes())
    line = [f"open_clip:{architecture}@{deep}/0.pt", "--tests", str(classification), "--untracked"]
    for more in ((), ("--templates", "prompt6")):
        evaluated(capsys, *line, *more, "--out", str(tmp_path / "out"))
    assert len(list((tmp_path / "out").glob("*.json"))) == 2


def test_models_of_pictures_alone_leave_the_others_their_results(
    classification: Path,
    captions: Path,
    home: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    simclr = Objective(simclr=dict(UNIFIED["slip"]["objective"].items())["simclr"])
    keys = []
    for objective in (CLIP, simclr):
        what = described()
        recipe = Recipe(objective=objective, image=VIT, text=what.text, embed_dim=what.embed_dim)
        keys.append(finished(home / "results", recipe)[0])
    line = [*keys, "--untracked", "--tests", str(classification), str(captions)]
    found, said = evaluated(capsys, *line, status=1)
    assert [one["model"] for one in found] == [keys[0]] * 2
    assert said.count(f"{keys[1]} was not trained to compare") == 2
    found, said = evaluated(capsys, *line, "--probe", status=1)
    told = [(one["model"], one["task"]) for one in found]
    assert told == [
        (keys[0], "zeroshot_classification"),
        *((key, "linear_probe") for key in keys),
        (keys[0], "zeroshot_retrieval"),
    ]
    assert said.count(f"{keys[1]} was not trained to compare") == 1


def test_a_test_set_without_prompts_is_probed(
    classification: Path, tiny: Callable[[int], str], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = Path(shutil.copytree(classification, tmp_path / "bare"))
    (folder / "zeroshot_classification_templates.txt").unlink()
    line = [f"open_clip:{tiny(0)}", "--untracked", "--tests", str(folder)]
    found, _ = evaluated(capsys, *line, "--probe")
    assert [one["task"] for one in found] == ["linear_probe"]
    found, said = evaluated(capsys, *line, status=2)
    assert found == [] and "has no template" in said


def test_means_over_test_sets_stand_below_them(
    classification: Path, tiny: Callable[[int], str], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    other = Path(shutil.copytree(classification, tmp_path / "other"))
    line = ["evaluate", f"open_clip:{tiny(0)}", "--untracked", "--tests"]
    found, _ = evaluated(capsys, *line[1:], str(classification), str(other))
    top1 = [one["metrics"]["acc1"] for one in found]  # type: ignore[index]
    assert command.main([*line, str(classification), str(other)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    above = sum((one - 1 / 7) / (1 - 1 / 7) for one in top1) / 2
    assert f"over 2 test sets: mean acc1 {50 * sum(top1):.2f} %" in last
    assert last.endswith(f"above chance {100 * above:.2f} %")


def test_an_mlflow_that_is_away_costs_no_result(
    classification: Path, tiny: Callable[[int], str], capsys: pytest.CaptureFixture[str]
) -> None:
    line = [f"open_clip:{tiny(0)}", "--tests", str(classification)]
    found, said = evaluated(capsys, *line, "--tracking-uri", "http://127.0.0.1:9")
    assert len(found) == 1 and "caution" in said and "127.0.0.1:9" in said
