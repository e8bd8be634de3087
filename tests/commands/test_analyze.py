"""Reports of tables that others made. Oracles: R's tables of its own data sets (`oracles.json`)."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from seedbed.commands.seedbed import main

ORACLES = json.loads(
    (Path(__file__).parents[1] / "analyze" / "stats" / "oracles.json").read_text()
)["oracles"]


def table(name: str, folder: Path, **drop: object) -> str:
    data = ORACLES[name]["data"]
    rows = pd.DataFrame(data["rows"], columns=data["columns"])
    if drop:
        rows = rows[
            ~np.logical_and.reduce([rows[column] == value for column, value in drop.items()])
        ]
    rows.to_csv(folder / "runs.csv", index=False)
    return str(folder / "runs.csv")


def anova_of(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "anova.csv").set_index("term")


def expected_rows(rows: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row[0]: dict(zip(rows["columns"], row, strict=True)) for row in rows["rows"]}


def test_repeated_cells_without_a_block_are_rs_anova(tmp_path: Path) -> None:
    out = tmp_path / "report"
    line = ["analyze", table("R_ToothGrowth", tmp_path), "--response", "len", "--factors", "supp"]
    assert main([*line, "dose", "--out", str(out)]) == 0
    found, wanted = anova_of(out), expected_rows(ORACLES["R_ToothGrowth"]["expected"]["anova"])
    for term in ("supp", "dose", "supp:dose"):
        assert found.loc[term, "F"] == pytest.approx(wanted[term]["F value"], rel=1e-9)
        assert found.loc[term, "p"] == pytest.approx(wanted[term]["Pr(>F)"], rel=1e-6)
    means = pd.read_csv(out / "means.csv")
    ours = {str(row["level"]): row["mean"] for _, row in means[means.factor == "supp"].iterrows()}
    data = ORACLES["R_ToothGrowth"]["data"]
    rows = pd.DataFrame(data["rows"], columns=data["columns"])
    assert ours == pytest.approx(rows.groupby("supp")["len"].mean().to_dict())


@pytest.mark.slow
def test_a_block_is_taken_out_as_r_does(tmp_path: Path) -> None:
    out = tmp_path / "report"
    line = ["analyze", table("R_npk", tmp_path), "--response", "yield", "--factors", "N", "P", "K"]
    assert main([*line, "--block", "block", "--out", str(out)]) == 0
    found = anova_of(out)
    wanted = expected_rows(ORACLES["R_npk"]["expected"]["anova_typeII_car"])
    for term in ("N", "P", "K", "N:P", "N:K", "P:K"):
        assert found.loc[term, "F"] == pytest.approx(wanted[term]["F value"], rel=1e-9)


@pytest.mark.slow
def test_an_empty_cell_is_named_and_what_it_takes_is_not_estimated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report"
    drop = ORACLES["ToothGrowth_empty_cell"]["data"]["drop_where"]
    line = ["analyze", table("R_ToothGrowth", tmp_path, **drop), "--response", "len", "--factors"]
    assert main([*line, "supp", "dose", "--out", str(out)]) == 0
    found = anova_of(out)
    wanted = expected_rows(ORACLES["ToothGrowth_empty_cell"]["expected"]["typeII_car"])
    assert found.loc["supp", "sum_sq"] == pytest.approx(wanted["supp"]["Sum Sq"], rel=1e-9)
    named = "The table has 5 of 6 cells: it lacks supp OJ, dose 2."
    assert named in " ".join(capsys.readouterr().out.split())
    # Over the doses that both have: what can be said is said, and over what.
    contrasts = pd.read_csv(out / "contrasts.csv")
    supp = contrasts[contrasts.factor == "supp"].iloc[0]
    assert "of 3 combinations" in supp["note"] and np.isfinite(supp["difference"])


def one_run_a_cell(folder: Path) -> tuple[str, pd.DataFrame]:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        [
            {"a": a, "b": b, "c": c, "acc": 0.3 + 0.05 * (a == 2) + rng.normal(0, 0.01)}
            for a, b, c in itertools.product((1, 2), ("x", "y"), (10, 20, 30))
        ]
    )
    rows.to_parquet(folder / "runs.parquet")
    return str(folder / "runs.parquet"), rows


@pytest.mark.slow
def test_one_run_a_cell_has_no_p_unless_it_is_asked_for_and_then_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, rows = one_run_a_cell(tmp_path)
    line = ["analyze", path, "--response", "acc", "--factors", "a", "b", "c", "--unit", "share"]
    assert main([*line, "--out", str(tmp_path / "none")]) == 0
    assert anova_of(tmp_path / "none")["p"].isna().all()
    out = capsys.readouterr().out
    assert "One run a cell: differences are as measured" in out and "Holm" not in out
    assert main([*line, "--error", "highest-order", "--out", str(tmp_path / "highest")]) == 0
    assert "One run a cell has no error of its own" in " ".join(capsys.readouterr().out.split())
    # The interaction of all three by hand: what the cells hold beyond all of lower order.
    code = {"a": (1, 2), "b": ("x", "y"), "c": (10, 20, 30)}
    values = np.zeros((2, 2, 3))
    for _, row in rows.iterrows():
        values[tuple(code[name].index(row[name]) for name in "abc")] = row["acc"]
    left = values.copy()
    for axis in range(3):
        left = left - left.mean(axis, keepdims=True)
    found = anova_of(tmp_path / "highest")
    assert found.loc["Residual", "sum_sq"] == pytest.approx((left**2).sum(), rel=1e-9)
    assert found.loc["Residual", "df"] == 2 and found.loc["a", "p"] < 0.05


def test_claims_of_a_file_are_judged_and_lower_may_be_better(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"lr": lr, "seed": seed, "loss": 3 + (lr == 2e-3) + 0.01 * seed + 0.002 * ((seed + k) % 3)}
        for k, lr in enumerate((1e-3, 2e-3))
        for seed in range(5)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "runs.tsv", sep="\t", index=False)
    (tmp_path / "claims.toml").write_text(
        '[[claim]]\nid = "slow"\nstatement = "Twice the rate loses."\n'
        'contrasts = [{of = "lr", level = 0.002, over = 0.001, direction = "above"}]\n'
    )
    line = ["analyze", str(tmp_path / "runs.tsv"), "--response", "loss", "--factors", "lr"]
    line += ["--block", "seed", "--unit", "loss", "--claims", str(tmp_path / "claims.toml")]
    assert main([*line, "--out", str(tmp_path / "report")]) == 0
    assert "Of 1 claim 1 is supported" in capsys.readouterr().out
    assert json.loads((tmp_path / "report" / "claims.json").read_text())


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (("of = 'lr'", "of = 'lrr'"), "the study has no factor 'lrr'"),
        (("level = 0.002", "level = 0.003"), "Factor 'lr' has no level '0.003'"),
        (("'above'", "'abov'"), "'above'"),
    ],
)
def test_a_claim_about_what_the_table_has_not_is_refused(
    changed: tuple[str, str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runs.csv").write_text("lr,loss\n0.001,3\n0.001,3.1\n0.002,4\n0.002,4.1\n")
    contrast = "{of = 'lr', level = 0.002, over = 0.001, direction = 'above'}".replace(*changed)
    claim = f"[[claim]]\nid = 'a'\nstatement = 'b'\ncontrasts = [{contrast}]\n"
    (tmp_path / "claims.toml").write_text(claim)
    line = ["analyze", str(tmp_path / "runs.csv"), "--response", "loss", "--factors", "lr"]
    line += ["--claims", str(tmp_path / "claims.toml"), "--out", str(tmp_path / "report")]
    assert main(line) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_an_interaction_is_no_error_where_cells_have_their_own_and_a_row_twice_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["analyze", table("R_ToothGrowth", tmp_path), "--response", "len", "--factors", "supp"]
    assert main([*line, "dose", "--error", "highest-order", "--out", str(tmp_path / "r")]) == 2
    assert "every cell has 10 runs or more" in capsys.readouterr().err
    rows = pd.read_csv(table("R_npk", tmp_path))
    pd.concat([rows, rows.tail(1)]).to_csv(tmp_path / "runs.csv", index=False)
    line = ["analyze", str(tmp_path / "runs.csv"), "--response", "yield", "--factors", "N", "P"]
    assert main([*line, "--block", "block", "--out", str(tmp_path / "r")]) == 0
    assert "1 of 25 rows are another one again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--response", "accc", "--factors", "a"], "acc"),
        (["--response", "acc", "--factors", "aa"], "a"),
        (
            ["--response", "acc", "--factors", "a", "--baseline", "a=7"],
            "no level of the factor 'a'",
        ),
        (["--response", "acc", "--factors", "a", "--baseline", "z=7"], "--factors"),
        (["--response", "b", "--factors", "a"], "Row 1 has 'x' for the response 'b'"),
        (["--response", "c", "--factors", "a", "--unit", "percent", "--claims", "/none"], "/none"),
        (["--response", "c", "--factors", "a", "--unit", "share"], "--unit percent"),
    ],
)
def test_what_cannot_be_read_is_said_with_the_nearest_right_name(
    more: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = one_run_a_cell(tmp_path)
    assert main(["analyze", path, *more, "--out", str(tmp_path / "report")]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


@pytest.mark.slow
def test_an_mlflow_experiment_of_any_trainer_is_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    mlflow = MlflowClient(uri)
    experiment = mlflow.create_experiment("theirs", artifact_location=str(tmp_path / "files"))
    for lr, depth, seed in itertools.product(("0.001", "0.01"), ("3", "12"), range(3)):
        run = mlflow.create_run(experiment).info.run_id
        for name, value in (("lr", lr), ("depth", depth), ("seed", seed)):
            mlflow.log_param(run, name, value)
        noise = 0.001 * ((seed * 7 + int(depth)) % 5)
        mlflow.log_metric(run, "val/acc", 0.5 + 0.1 * (lr == "0.01") + 0.01 * seed + noise)
        mlflow.set_terminated(run)
    mlflow.create_run(experiment, run_name="a sweep's own run")
    killed = mlflow.create_run(experiment, run_name="killed").info.run_id
    for name, value in (("lr", "0.01"), ("depth", "3"), ("seed", 3)):
        mlflow.log_param(killed, name, value)
    mlflow.log_metric(killed, "val/acc", 0.1)  # so far
    mlflow.set_terminated(killed, "KILLED")
    line = ["analyze", "mlflow:theirs", "--tracking-uri", uri, "--response", "metrics.val/acc"]
    line += ["--factors", "params.lr", "params.depth", "--block", "params.seed", "--unit", "share"]
    assert main([*line, "--out", str(tmp_path / "report")]) == 0
    printed = capsys.readouterr()
    said = " ".join(printed.out.split())
    assert "rises by 10.0" in said and "seed 3: failed (its run_status is KILLED)" in said
    assert "1 of 14 runs have none of the factors" in printed.err
    assert main(["analyze", "mlflow:their", *line[2:]]) == 2
    assert "theirs" in capsys.readouterr().err


# As W&B's page exports a table of runs: names of the columns, then texts in quotes.
WANDB = """"Name","State","Notes","User","Tags","Created","Runtime","Sweep","lr","seed","val/top1"
"sun-1","finished","-","me","a, b","2026-11-01T10:00:00.000Z","3600","","0.0001","0","40.1"
"sun-2","finished","-","me","","2026-11-01T10:00:00.000Z","3600","","0.0001","1","41.2"
"sun-3","finished","-","me","","2026-11-01T10:00:00.000Z","3600","","0.0001","2","40.4"
"sun-4","finished","-","me","","2026-11-01T10:00:00.000Z","3600","","0.001","0","45.0"
"sun-5","finished","-","me","","2026-11-01T10:00:00.000Z","3600","","0.001","1","46.4"
"sun-6","crashed","-","me","","2026-11-01T10:00:00.000Z","36","","0.001","2","12.0"
"""


@pytest.mark.slow
def test_a_run_that_crashed_is_missing_from_a_table_that_wandb_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wandb_export.csv"
    path.write_text(WANDB)
    line = ["analyze", str(path), "--response", "val/top1", "--factors", "lr", "--block", "seed"]
    line += ["--unit", "percent", "--out", str(tmp_path / "report")]
    assert main(line) == 0
    out = " ".join(capsys.readouterr().out.split())
    # By hand, within the two seeds that have both: (4.9 + 5.2) / 2.
    assert "+5.0" in out and "1 trial of 6 is missing" in out
    assert "lr 0.001, seed 2: failed (its State is crashed)" in out
    # What is named as a factor is compared, whatever its words.
    asked = ["State" if word == "lr" else word for word in line]
    assert main(asked) == 0
    assert "at State crashed" in " ".join(capsys.readouterr().out.split())
    path.write_text(WANDB.replace('"0.0001","2"', '"","2"'))
    assert main(line) == 2
    assert "Row 3 ('sun-3') has no value of the factor 'lr'" in capsys.readouterr().err


# Rows of open_clip's docs/openclip_classification_results.csv, by its own names of columns.
OPEN_CLIP = """name,pretrained,params (M),FLOPs (B),Average perf. on 35 datasets,ImageNet 1k
ViT-L-14,datacomp_xl_s13b_b90k,427.62,175.33,0.6674,0.7921
ViT-L-14,openai,427.62,175.33,0.6237,0.7554
ViT-L-14,laion400m_e32,427.62,175.33,0.5998,0.7277
ViT-B-16,datacomp_xl_s13b_b90k,149.62,41.09,0.6178,0.7349
ViT-L-14-336,openai,427.94,395.22,0.6348,0.7656
"""


def test_a_table_of_open_clips_models_is_read_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "openclip_classification_results.csv"
    path.write_text(OPEN_CLIP)
    line = ["analyze", str(path), "--response", "ImageNet 1k", "--factors", "name", "pretrained"]
    assert main([*line, "--unit", "share", "--out", str(tmp_path / "report")]) == 0
    out = " ".join(capsys.readouterr().out.split())
    # Within the one training set that both have.
    assert "ImageNet 1k differs as measured by -5.7 points at name ViT-B-16 and +1.0 at" in out
    assert "5 of 9 cells" in out and "name ViT-B-16, pretrained openai;" in out


def two_tasks(folder: Path) -> tuple[list[str], pd.DataFrame]:
    """Two trainers on a task of 1,000 classes and on one of two; a run that lacks the second."""
    rng = np.random.default_rng(5)
    rows = pd.DataFrame(
        [
            {
                "trainer": trainer,
                "seed": seed,
                "imagenet": 40 + 5 * (trainer == "b") + rng.normal(0, 0.5),
                "cats": 80 - 6 * (trainer == "b") + rng.normal(0, 0.5),
            }
            for trainer, seed in itertools.product("ab", range(4))
        ]
    )
    rows.loc[7, "cats"] = np.nan
    rows.to_csv(folder / "runs.csv", index=False)
    line = ["analyze", str(folder / "runs.csv"), "--response", "imagenet", "cats", "--factors"]
    return [*line, "trainer", "--block", "seed", "--unit", "percent"], rows


@pytest.mark.slow
def test_chance_levels_give_the_mean_above_chance_of_several_tasks(tmp_path: Path) -> None:
    """Oracle: DataComp's correction by hand, the difference of paired runs by scipy."""
    line, rows = two_tasks(tmp_path)
    line += ["--chance", "imagenet=0.001", "cats=0.5", "--out", str(tmp_path / "report")]
    assert main(line) == 0
    text = (tmp_path / "report" / "report.md").read_text()
    section = text.partition("## Several test sets")[2].partition("\n## ")[0]
    assert "| cats | 50.00 |" in section and "| imagenet | 0.10 |" in section
    assert "trainer × test set" in section  # the effects go in opposite directions
    above = ((rows["imagenet"] / 100 - 0.001) / 0.999 + (rows["cats"] / 100 - 0.5) / 0.5) / 2
    trials = pd.read_csv(tmp_path / "report" / "trials.csv")
    assert trials["tasks/mean_above_chance"].to_list() == pytest.approx(
        above.to_list(), nan_ok=True
    )
    means = (rows["imagenet"] + rows["cats"]) / 200
    assert trials["tasks/mean_acc1"].to_list() == pytest.approx(means.to_list(), nan_ok=True)
    assert "Mean top-1 above chance" in text


def test_the_chance_level_of_one_task_is_told(tmp_path: Path) -> None:
    line, rows = two_tasks(tmp_path)
    assert main([*line, "--chance", "cats=0.5", "--out", str(tmp_path / "report")]) == 0
    text = (tmp_path / "report" / "report.md").read_text()
    mean = rows["cats"].mean()
    assert f"| cats | 50.00 | {mean:.2f} | {2 * (mean - 50):.2f} | 7 |" in text
    assert "tasks/mean" not in (tmp_path / "report" / "trials.csv").read_text()


@pytest.mark.parametrize(
    ("chance", "words"),
    [
        (["imagnet=0.001"], "imagenet"),
        (["cats=1"], "from 0, and below 1"),
        (["cats=-0.1"], "from 0, and below 1"),
        (["cats=half"], "RESPONSE=SHARE"),
        (["cats"], "RESPONSE=SHARE"),
        (["cats=0.5", "cats=0.1"], "once"),
        (["cats=0.5", "--unit", "number"], "--unit share"),
    ],
)
def test_a_chance_level_that_is_none_is_refused(
    chance: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line, _ = two_tasks(tmp_path)
    assert main([*line, "--chance", *chance, "--out", str(tmp_path / "report")]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "report").exists()
