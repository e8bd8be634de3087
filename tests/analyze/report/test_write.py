"""The report against studies with planted effects: it must find them, and say what it cannot."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from seedbed.analyze import Report, trials_table, write_report
from seedbed.plan.design import Design
from seedbed.study.record import TrialRecord

Study = tuple[Design, list[TrialRecord]]

FILES = {
    "report.md",
    "report.html",
    "trials.csv",
    "design.json",
    "aliases.json",
    "missing_cells.csv",
    "means.csv",
    "contrasts.csv",
    "interactions.csv",
    "anova.csv",
    "pareto.csv",
    "effects.csv",
    "effect_sizes.csv",
    "claims.json",
    "diagnostics.json",
    "variance_components.json",
    "power.csv",
    "two_errors.csv",
}


def report_of(study: Study, folder: Path, provenance: dict[str, Any]) -> Report:
    design, records = study
    return write_report(design, trials_table(design, records), folder, provenance)


def read(report: Report, name: str) -> list[dict[str, str]]:
    with report.paths[name].open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_planted_effects_are_recovered_with_a_trial_missing(depth_report: Report) -> None:
    planted = {"1": -0.061, "3": -0.024, "6": -0.003}
    found = {
        row["level"]: row
        for row in read(depth_report, "contrasts.csv")
        if row["response"] == "zeroshot/top1"
    }
    assert list(found) == ["1", "3", "6"]
    for level, truth in planted.items():
        low, high = float(found[level]["ci_low"]), float(found[level]["ci_high"])
        # Of depth 3 one seed in three is lost.
        assert low < truth < high and high - low < (0.06 if level == "3" else 0.022)
    assert float(found["1"]["p_adjusted"]) < 0.01 and float(found["6"]["p_adjusted"]) > 0.05
    lines = depth_report.summary.splitlines()
    assert lines[0] == "text_encoder_depth: Is text depth worth its cost?"
    assert lines[2].startswith(
        "Against depth 12, caption retrieval top-1 among all falls by 6.3 points"
    )
    assert "cannot be told from it" in depth_report.summary


@pytest.mark.slow
def test_the_interaction_is_the_answer_where_one_was_planted(crossed_report: Report) -> None:
    assert "The effect of depth depends on supervision" in crossed_report.summary.splitlines()[2]
    rows = [
        row
        for row in read(crossed_report, "interactions.csv")
        if row["response"] == "zeroshot/top1" and row["a_level"] == "1"
    ]
    # Planted: 6.1 points lost with clip, 2.44 with declip.
    truths = {"interaction": 0.0366, "clip": -0.061, "declip": -0.0244}
    for row in rows:
        name = "interaction" if row["kind"] == "interaction" else row["b_level"]
        assert float(row["ci_low"]) < truths.pop(name) < float(row["ci_high"])
    assert not truths


@pytest.mark.slow
def test_missing_trials_are_named_and_never_zero(crossed_report: Report) -> None:
    assert "Missing: 2 of 24 trials" in crossed_report.summary
    assert (
        "depth 1, supervision declip, seed 1: failed (CUDA out of memory" in crossed_report.summary
    )
    missing = read(crossed_report, "missing_cells.csv")
    assert [(row["depth"], row["status"]) for row in missing] == [
        ("1", "failed"),
        ("6", "never_started"),
    ]
    for row in read(crossed_report, "trials.csv"):
        assert (row["zeroshot/top1"] == "") == (row["status"] != "completed")
    page = crossed_report.page.read_text(encoding="utf-8")
    assert "CUDA out of memory on one worker" in page and "22 of 24" in page


@pytest.mark.slow
def test_every_summary_line_fits_a_terminal(
    study: Callable[..., Study], tmp_path: Path, provenance: dict[str, Any]
) -> None:
    long = {"a rather long name of a factor": ["the baseline", "some " * 12 + "level"]}
    made = study(
        long,
        {"a rather long name of a factor": "the baseline"},
        lambda cell: 0.0,
        missing={("the baseline", "0"): ("failed", "reason " * 30)},
        question="Why " * 40 + "?",
    )
    for line in report_of(made, tmp_path, provenance).summary.splitlines():
        assert len(line) < 100 and line.isascii()


@pytest.mark.slow
def test_a_summary_of_hundreds_of_trials_can_be_read_and_the_tables_have_all(
    study: Callable[..., Study], tmp_path: Path, provenance: dict[str, Any]
) -> None:
    factors = {"depth": [str(n) for n in range(1, 11)], "rate": [str(n) for n in range(1, 11)]}
    lost = {(d, r, "0"): ("failed", "lost") for d in factors["depth"] for r in factors["rate"][:6]}
    made = study(factors, {"depth": "1", "rate": "1"}, lambda cell: 0.0, missing=lost)
    report = report_of(made, tmp_path, provenance)
    lines = report.summary.splitlines()
    assert len(lines) < 150
    assert "Missing: 60 of 300 trials" in report.summary
    assert "  and 20 more: missing_cells.csv has them all" in lines
    (left,) = (line for line in lines if line.endswith("cells more: pareto.csv has them all"))
    shown = sum(line.startswith("* depth") for line in lines)
    assert int(left.split()[1]) == len(read(report, "pareto.csv")) - shown == 100 - shown
    assert len(read(report, "missing_cells.csv")) == 60


@pytest.mark.slow
def test_a_level_that_only_its_adjusted_p_leaves_open_says_so(
    study: Callable[..., Study], tmp_path: Path, provenance: dict[str, Any]
) -> None:
    said = []
    for step in (3, 4, 5, 6):  # 4 and 5 lie between the two verdicts, their neighbours outside
        made = study(
            {"depth": ["1", "3", "6", "12"]},
            {"depth": "12"},
            lambda cell, step=step: 0.004 * step * (cell["depth"] == "1"),
            num_seeds=3,
        )
        report = report_of(made, tmp_path / str(step), provenance)
        rows = [r for r in read(report, "contrasts.csv") if r["response"] == "zeroshot/top1"]
        apart = [float(r["ci_low"]) > 0 or float(r["ci_high"]) < 0 for r in rows]
        only_alone = [
            a and float(r["p_adjusted"]) >= 0.05 for a, r in zip(apart, rows, strict=True)
        ]
        words = " ".join(report.summary.split())
        assert ("where all 3 comparisons are allowed for (Holm)" in words) == any(only_alone)
        said.append(any(only_alone))
    assert said == [False, True, True, False]


@pytest.mark.slow
def test_one_seed_is_said_and_gets_no_interval(
    study: Callable[..., Study], tmp_path: Path, provenance: dict[str, Any]
) -> None:
    made = study(
        {"depth": ["3", "12"]},
        {"depth": "12"},
        lambda cell: -0.03 * (cell["depth"] == "3"),
        num_seeds=1,
    )
    report = report_of(made, tmp_path, provenance)
    assert "One seed" in report.summary and "as measured" in report.summary
    assert "[" not in report.summary.replace("[95 % interval]", "")
    for name in ("contrasts.csv", "means.csv"):
        assert all(row["ci_low"] == row["ci_high"] == "" for row in read(report, name))
    assert all(row["p"] == "" for row in read(report, "anova.csv"))
    assert "One seed: no interval and no p" in report.page.read_text(encoding="utf-8")


def test_a_study_without_a_completed_trial_still_has_its_page(
    depth_study: Study, tmp_path: Path, provenance: dict[str, Any]
) -> None:
    design, _ = depth_study
    report = report_of((design, []), tmp_path, provenance)
    assert "No trial has completed yet" in report.summary
    assert "12 of 12 trials" in report.summary
    assert {"report.html", "trials.csv", "missing_cells.csv"} <= set(report.paths)


@pytest.mark.slow
def test_a_cell_that_never_completed_leaves_a_reason_in_place_of_its_number(
    study: Callable[..., Study], tmp_path: Path, provenance: dict[str, Any]
) -> None:
    made = study(
        {"depth": ["3", "12"], "supervision": ["clip", "declip"]},
        {"depth": "12", "supervision": "clip"},
        lambda cell: 0.0,
        missing={("3", "declip", str(seed)): ("diverged", "nan") for seed in range(3)},
    )
    report = report_of(made, tmp_path, provenance)
    found = [row for row in read(report, "contrasts.csv") if row["response"] == "zeroshot/top1"]
    for row in found:
        assert row["difference"] == ""
        assert "no completed trial at depth 3, supervision declip" in row["note"]
    simple = [
        row
        for row in read(report, "interactions.csv")
        if row["response"] == "zeroshot/top1" and row["b_level"] == "clip"
    ]
    assert simple and all(row["difference"] for row in simple)


@pytest.mark.slow
def test_the_same_study_gives_the_same_bytes(
    depth_by_supervision: Study,
    crossed_report: Report,
    tmp_path: Path,
    provenance: dict[str, Any],
) -> None:
    design, records = depth_by_supervision
    first = crossed_report
    second = report_of((design, records[::-1]), tmp_path, provenance)
    assert set(first.paths) == set(second.paths) >= FILES
    for name, path in first.paths.items():
        assert path.read_bytes() == second.paths[name].read_bytes(), name
    assert first.summary == second.summary


def test_the_page_is_one_file_that_loads_nothing(depth_report: Report) -> None:
    page = depth_report.page.read_text(encoding="utf-8")
    assert "@import" not in page and "url(" not in page
    # Its one script copies tables; it may reach for nothing outside.
    script = page.split("<script>")[1].split("</script>")[0]
    assert page.count("<script") == 1
    assert not re.search(r"fetch|XMLHttpRequest|import|https?:|WebSocket|sendBeacon", script)
    outside = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert outside == ["data:,"]
    assert page.count("<svg") >= 3


@pytest.mark.slow
def test_names_from_a_study_cannot_break_the_page(
    study: Callable[..., Study], tmp_path: Path, provenance: dict[str, Any]
) -> None:
    made = study(
        {"loss": ["<b>a</b>", "a|b & c"]}, {"loss": "a|b & c"}, lambda cell: 0.0, question="<i>?"
    )
    report = report_of(made, tmp_path, provenance)
    page = report.page.read_text(encoding="utf-8")
    assert "<b>a" not in page and "<i>" not in page and "&lt;b&gt;a" in page
    tables = [
        line
        for line in report.paths["report.md"].read_text(encoding="utf-8").splitlines()
        if line.startswith("| loss") or "a\\|b" in line
    ]
    assert tables


@pytest.mark.slow
def test_figures_are_well_formed_and_stand_alone(crossed_report: Report) -> None:
    figures = [path for name, path in crossed_report.paths.items() if name.endswith(".svg")]
    assert {path.stem for path in figures} == {
        "contrasts_depth",
        "contrasts_supervision",
        "means_depth_by_supervision",
        "cost",
        "effect_pareto",
        "residuals",
        "seeds_needed",
    }
    for path in figures:
        root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
        assert float(root.attrib["width"]) > 700 and float(root.attrib["height"]) > 100
        assert "nan" not in path.read_text(encoding="utf-8").replace("semantic", "")


def test_test_set_error_is_binomial_and_named_apart_from_seed_error(
    depth_study: Study, depth_report: Report
) -> None:
    _, records = depth_study
    page = depth_report.page.read_text(encoding="utf-8")
    scores = [record.metrics["zeroshot/top1"] for record in records if record.metrics]
    share = sum(scores) / len(scores)
    error = 100 * (share * (1 - share) / 1900) ** 0.5
    assert f"standard error of {error:.2f} points (binomial" in page
    assert "Two kinds of error, kept apart" in page and "This is another thing" in page


@pytest.mark.slow
def test_unequal_order_hashes_are_said_not_to_be_paired(
    depth_study: Study, depth_report: Report, tmp_path: Path, provenance: dict[str, Any]
) -> None:
    design, records = depth_study
    paired = depth_report.page.read_text()
    assert "the same samples in the same order" in paired
    spoilt = [replace(records[0], order_hash="another"), *records[1:]]
    page = report_of((design, spoilt), tmp_path, provenance).page.read_text()
    assert "Seed 0: the order hashes differ" in page
    assert "the same samples in the same order" not in page


@pytest.mark.slow
def test_trials_trained_by_other_means_are_named_by_what_differs(
    depth_study: Study, tmp_path: Path, provenance: dict[str, Any]
) -> None:
    design, records = depth_study
    made = "device=cpu; workers=1; threads=2; seedbed=1.0; git_commit=" + "a" * 40
    alike = [replace(record, made_by=made) for record in records]
    page = report_of((design, alike), tmp_path / "alike", provenance).page.read_text()
    assert "trained by the same means" not in page
    on_gpu = made.replace("device=cpu", "device=NVIDIA H100")
    moved = made + " then " + made.replace("a" * 40, "b" * 40)
    mixed = [replace(alike[0], made_by=on_gpu), replace(alike[1], made_by=moved), *alike[2:]]
    page = report_of((design, mixed), tmp_path / "mixed", provenance).page.read_text()
    done = sum(record.status == "completed" for record in records)
    assert {records[0].status, records[1].status} == {"completed"}
    assert "Not all trials were trained by the same means" in page
    assert f"device: cpu ({done - 1} trials) and NVIDIA H100 (1 trial)" in page
    assert (
        f"git commit: aaaaaaaaaaaa ({done - 1} trials) and "
        "aaaaaaaaaaaa then bbbbbbbbbbbb (1 trial)" in page
    )
    assert "threads:" not in page


@pytest.mark.slow
def test_layouts_are_told_with_how_many_trials_ended_in_each(
    depth_study: Study, depth_report: Report, tmp_path: Path, provenance: dict[str, Any]
) -> None:
    assert "<th>Layout</th>" not in depth_report.page.read_text()
    design, records = depth_study
    laid = [replace(record, layout="on 2 workers of 1 thread") for record in records]
    laid[0] = replace(laid[0], layout="on 1 worker; the cluster has 4 CPUs and 1 GPU")
    text = report_of((design, laid), tmp_path, provenance).paths["report.md"].read_text()
    done = sum(record.status == "completed" for record in records)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert ["Layout", "Trials"] in rows
    assert ["on 1 worker; the cluster has 4 CPUs and 1 GPU", "1"] in rows
    assert ["on 2 workers of 1 thread", str(done - 1)] in rows


def test_secondary_p_values_are_one_family(depth_report: Report) -> None:
    from statsmodels.stats.multitest import multipletests

    rows = [r for r in read(depth_report, "contrasts.csv") if r["response"] != "zeroshot/top1"]
    assert len(rows) == 9
    theirs = multipletests([float(row["p"]) for row in rows], method="fdr_bh")[1]
    assert [float(row["p_adjusted"]) for row in rows] == pytest.approx(theirs, rel=1e-8)


def test_the_pareto_front_is_of_cells_by_their_means(depth_report: Report) -> None:
    rows = read(depth_report, "pareto.csv")
    assert [row["depth"] for row in rows] == ["12", "1", "3", "6"]
    assert [row["num_trials"] for row in rows] == ["3", "3", "2", "3"]
    assert {row["on_front"] for row in rows} == {"True"}


@pytest.mark.slow
def test_a_hidden_alias_is_a_caveat(
    study: Callable[..., Study], tmp_path: Path, provenance: dict[str, Any], with_recipes: Any
) -> None:
    design, records = study({"depth": ["3", "12"]}, {"depth": "12"}, lambda cell: 0.0)
    design = with_recipes(
        design, lambda trial: {"optimizer.lr": 1e-3 if trial.cell["depth"] == "3" else 5e-4}
    )
    report = report_of((design, records), tmp_path, provenance)
    assert "optimizer.lr changes with depth too" in report.summary
    assert json.loads(report.paths["aliases.json"].read_text()) == [
        {"field": "optimizer.lr", "factors": ["depth"], "term": "depth"}
    ]


@pytest.mark.slow
def test_a_diverged_metric_in_a_completed_trial_leaves_the_page_standing(
    depth_study: Study, tmp_path: Path, provenance: dict[str, Any]
) -> None:
    design, records = depth_study
    broken = {"final/loss": float("inf"), "cost/device_hours": float("nan")}
    spoilt = [replace(records[0], metrics={**records[0].metrics, **broken}), *records[1:]]
    report = report_of((design, spoilt), tmp_path, provenance)
    page = report.paths["report.md"].read_text(encoding="utf-8")
    page = page.replace("train/loss was nan", "")  # why a trial is missing, in its own words
    assert not re.search(r"\b(inf|nan)\b", page)
    assert read(report, "pareto.csv")[1]["num_trials"] == "2"


@pytest.mark.slow
def test_losses_are_better_when_smaller(
    study: Callable[..., Study], tmp_path: Path, provenance: dict[str, Any]
) -> None:
    design, records = study(
        {"depth": ["3", "12"]}, {"depth": "12"}, lambda cell: -0.05 * (cell["depth"] == "3")
    )
    design = replace(design, responses=("final/loss", "cost/device_hours"))
    report = report_of((design, records), tmp_path, provenance)
    # The deeper tower has the lower loss and the higher cost: both cells are on the front.
    assert {row["on_front"] for row in read(report, "pareto.csv")} == {"True"}
    assert "final training loss rises by" in report.summary and "points" not in report.summary
