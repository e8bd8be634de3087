"""Published values, bundles and divergence on the page. Oracle: means and shares by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seedbed.analyze import trials_table, write_report
from seedbed.plan.design import Design, PlannedTrial
from seedbed.study.published import Published
from seedbed.study.record import TrialRecord

Study = tuple[Design, list[TrialRecord]]
EFFECTS = {"clip": 0.0, "declip": 0.08, "vit": 0.0, "resnet": 0.02}
VALUES = {("clip", "vit"): 0.328, ("clip", "resnet"): 0.372, ("declip", "vit"): 0.45}


@pytest.fixture
def paper_study(study: Callable[..., Study]) -> Study:
    """Two factors at the paper scale; one published cell never completed, one is not published."""
    design, records = study(
        {"supervision": ["clip", "declip"], "model": ["vit", "resnet"]},
        {"supervision": "clip", "model": "vit"},
        lambda cell: EFFECTS[cell["supervision"]] + EFFECTS[cell["model"]],
        missing={("declip", "vit", str(seed)): ("diverged", "nan") for seed in range(3)},
    )
    cells = [
        {"cell": {"supervision": a, "model": b}, "value": value} for (a, b), value in VALUES.items()
    ]
    published = {
        "source": "a README",
        "response": "zeroshot/top1",
        "scale": "paper",
        "test_set": "ImageNet",
        "cells": cells,
    }
    return replace(design, scale="paper", published=Published.from_json(published)), records


def markdown(study: Study, folder: Path, provenance: dict[str, Any]) -> str:
    design, records = study
    report = write_report(design, trials_table(design, records), folder, provenance)
    assert ("Published values" in report.page.read_text(encoding="utf-8")) == (
        design.published is not None
    )
    return report.paths["report.md"].read_text(encoding="utf-8")


def section(page: str, title: str) -> str:
    return page.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def table_rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in lines]


@pytest.mark.slow
def test_at_the_papers_scale_each_published_cell_stands_beside_our_mean(
    paper_study: Study, tmp_path: Path, provenance: dict[str, Any]
) -> None:
    found = section(markdown(paper_study, tmp_path, provenance), "Published values")
    rows = {(row[0], row[1]): row[2:] for row in table_rows(found)[2:]}
    assert set(rows) == set(VALUES)
    for cell in (("clip", "vit"), ("clip", "resnet")):
        scores = [
            record.metrics["zeroshot/top1"]
            for record in paper_study[1]
            if (record.cell["supervision"], record.cell["model"]) == cell
        ]
        mean = 100 * sum(scores) / len(scores)
        value, ours, interval, difference = rows[cell]
        assert value == f"{100 * VALUES[cell]:.1f}"
        assert float(ours) == pytest.approx(mean, abs=0.01)
        low, high = map(float, interval.split(" to "))
        assert low < mean < high
        assert float(difference) == pytest.approx(mean - 100 * VALUES[cell], abs=0.01)
    assert rows["declip", "vit"] == ["45.0", "missing", "–", "–"]
    assert "only where that split is ImageNet" in found and "Source: a README." in found


@pytest.mark.slow
def test_at_another_scale_the_published_values_stand_alone_and_the_section_says_why(
    paper_study: Study, tmp_path: Path, provenance: dict[str, Any]
) -> None:
    design, records = paper_study
    elsewhere = replace(design, scale="demo")
    found = section(markdown((elsewhere, records), tmp_path, provenance), "Published values")
    assert "are of the paper scale and are therefore not set beside these" in found
    assert table_rows(found)[0] == ["supervision", "model", "Published, %"]
    assert [row[2] for row in table_rows(found)[2:]] == ["32.8", "37.2", "45.0"]
    assert "Ours" not in found


@pytest.mark.slow
def test_a_setting_changed_by_hand_is_said_beside_the_published_values(
    paper_study: Study, tmp_path: Path, provenance: dict[str, Any]
) -> None:
    design, records = paper_study
    changed = replace(design, overrides={"budget.samples": "4096000"})
    found = section(markdown((changed, records), tmp_path, provenance), "Published values")
    assert "This run set budget.samples to 4096000 by hand" in found


def test_a_study_without_a_completed_trial_still_shows_the_published_values(
    paper_study: Study, tmp_path: Path, provenance: dict[str, Any]
) -> None:
    found = section(markdown((paper_study[0], []), tmp_path, provenance), "Published values")
    assert [row[3] for row in table_rows(found)[2:]] == ["missing"] * 3


@pytest.mark.slow
def test_without_published_values_there_is_no_such_section(
    depth_study: Study, tmp_path: Path, provenance: dict[str, Any]
) -> None:
    assert "Published values" not in markdown(depth_study, tmp_path, provenance)


@pytest.mark.slow
def test_a_bundle_of_settings_is_a_caution_near_the_answer_and_said_once(
    paper_study: Study, tmp_path: Path, provenance: dict[str, Any], with_recipes: Any
) -> None:
    design, records = paper_study
    bundle = replace(
        design.factors["supervision"],
        at="objective, optimizer.lr, optimizer.weight_decay",
        also_moves=("optimizer.lr", "optimizer.weight_decay"),
    )
    model = replace(design.factors["model"], also_moves=())
    design = replace(design, factors={"supervision": bundle, "model": model})

    def recipe(trial: PlannedTrial) -> dict[str, float]:
        richer = trial.cell["supervision"] == "declip"
        return {"objective.clip.weight": 1.0, "optimizer.lr": 5e-4 if richer else 1e-3}

    page = markdown((with_recipes(design, recipe), records), tmp_path, provenance)
    caution = (
        "> The levels of 'supervision' also differ in optimizer.lr and optimizer.weight_decay: a "
        "difference between them is not the supervision's alone."
    )
    assert page.index(caution) < page.index("## Effects against the baseline")
    assert page.count("optimizer.lr and") == 1 and "The levels of 'model'" not in page
    assert "changes with supervision too" not in page


@pytest.mark.slow
def test_levels_that_move_one_part_get_no_caution(
    paper_study: Study, tmp_path: Path, provenance: dict[str, Any]
) -> None:
    design, records = paper_study
    factors = {name: replace(one, also_moves=()) for name, one in design.factors.items()}
    assert "also differ in" not in markdown(
        (replace(design, factors=factors), records), tmp_path, provenance
    )


@pytest.mark.slow
def test_divergence_is_counted_by_level_with_its_interval(
    paper_study: Study, depth_by_supervision: Study, tmp_path: Path, provenance: dict[str, Any]
) -> None:
    found = section(markdown(paper_study, tmp_path / "a", provenance), "What is missing")
    shown = found.split("### How often trials diverged", 1)[1]
    # 0 of 6: 1 - 0.025 ** (1 / 6) = 0.459; 3 of 6: P(X >= 3 | 0.1181) = 0.025, and mirrored.
    assert table_rows(shown)[2:] == [
        ["supervision", "clip", "0 of 6", "0", "0 to 46"],
        ["", "declip", "3 of 6", "50", "12 to 88"],
        ["model", "vit", "3 of 6", "50", "12 to 88"],
        ["", "resnet", "0 of 6", "0", "0 to 46"],
    ]
    other = markdown(depth_by_supervision, tmp_path / "b", provenance)
    assert "failed" in other and "How often trials diverged" not in other
