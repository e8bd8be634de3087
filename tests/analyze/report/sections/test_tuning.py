"""How cells were tuned, in the report. Oracle: candidates written by hand."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.analyze.conftest import with_recipes

from seedbed.analyze import trials_table, write_report
from seedbed.analyze.findings.study import find
from seedbed.plan.design import Design
from seedbed.plan.tuned import Candidate, Tuned, TunedCell
from seedbed.study.cell import Cell
from seedbed.study.nuisance import Nuisance, Search, Tuning
from seedbed.study.record import TrialRecord

Study = tuple[Design, list[TrialRecord]]
LR = "optimizer.lr"
SPACE = Search(LR, low=1e-4, high=1e-2, log=True)
# By level: the learning rates that were tried, and what they gave; None diverged.
TRIED: dict[str, list[tuple[float, float | None]]] = {
    "clip": [(1e-3, 0.30), (5e-4, 0.41), (3e-3, 0.36), (8e-3, None)],
    "slip": [(1e-3, 0.30), (5e-4, 0.35), (1.2e-4, 0.38), (8e-3, None)],
    "filip": [(1e-3, None), (5e-4, None), (3e-3, None), (8e-3, None)],
}
CHOSEN = {"clip": 1, "slip": 2, "filip": None}


def tuned() -> Tuned:
    cells = []
    for label, tried in TRIED.items():
        candidates = tuple(
            Candidate(
                values={LR: lr},
                response=value,
                status="diverged" if value is None else "completed",
                keys=(f"{label}-{number}",),
            )
            for number, (lr, value) in enumerate(tried)
        )
        cell = Cell({"supervision": label})
        cells.append(TunedCell(cell=cell, candidates=candidates, chosen=CHOSEN[label]))
    nuisance = Nuisance((SPACE,), Tuning(trials=4))
    return Tuned(nuisance=nuisance, response="zeroshot/top1", cells=tuple(cells))


def designed(study: Callable[..., Study]) -> Study:
    design, records = study({"supervision": list(TRIED)}, {"supervision": "clip"}, lambda cell: 0.0)
    design = replace(design, tuned=tuned())
    chosen = {one.cell["supervision"]: one.values.get(LR, 1e-3) for one in tuned().cells}
    return with_recipes(design, lambda trial: {LR: chosen[trial.cell["supervision"]]}), records


@pytest.mark.slow
def test_each_cell_has_its_tuned_value_its_budget_and_its_place_in_the_space(
    study: Callable[..., Study], tmp_path: Path
) -> None:
    design, records = designed(study)
    write_report(design, trials_table(design, records), tmp_path, {})
    page = (tmp_path / "report.md").read_text(encoding="utf-8")
    part = page.split("## Tuning")[1].split("\n## ")[0]
    rows = {
        cells[0]: cells[1:]
        for line in part.splitlines()
        if line.startswith("|") and (cells := [c.strip() for c in line.strip("| ").split("|")])
    }
    assert rows["clip"] == ["0.0005", "41.0", "3 of 4", "inside"]
    assert rows["slip"] == ["0.00012", "38.0", "3 of 4", "optimizer.lr at the low edge"]
    assert rows["filip"][2] == "0 of 4" and rows["filip"][0] == rows["filip"][1] == "–"
    assert "The tuned optimizer.lr of 1 cell lies in the outermost tenth" in part
    assert "no candidate completed" in part
    assert "4 candidates for every cell, quasi-random" in part and "seed 10000" in part


@pytest.mark.slow
def test_the_curve_over_the_budget_is_the_best_so_far(
    study: Callable[..., Study], tmp_path: Path
) -> None:
    design, records = designed(study)
    report = write_report(design, trials_table(design, records), tmp_path, {})
    with report.paths["tuning.csv"].open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    curves = {
        label: [row["best_so_far"] for row in table if row["supervision"] == label]
        for label in TRIED
    }
    assert curves["clip"] == ["0.3", "0.41", "0.41", "0.41"]
    assert curves["slip"] == ["0.3", "0.35", "0.38", "0.38"]
    assert curves["filip"] == ["", "", "", ""]
    drawn = report.paths["figures/tuning.svg"].read_text(encoding="utf-8")
    assert drawn.count('class="curve mean') == 2 + 3  # a cell without a value has no line
    assert "Candidates tried" in drawn


@pytest.mark.slow
def test_a_tuned_field_is_no_hidden_alias_and_the_same_field_untuned_is(
    study: Callable[..., Study],
) -> None:
    design, records = designed(study)
    assert find(design, trials_table(design, records)).aliases == []
    plain = replace(design, tuned=None)
    (alias,) = find(plain, trials_table(plain, records)).aliases
    assert (alias.field, alias.factors) == (LR, ("supervision",))


def test_a_design_keeps_how_its_cells_were_tuned(study: Callable[..., Study]) -> None:
    design, _ = designed(study)
    assert Design.from_json(design.to_json()) == design
    assert "tuned" not in replace(design, tuned=None).to_json()
