"""What every design promises, found by walking the folder. Oracles: itertools' own product, and of
designs around a cell the tables below, written by hand."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seedbed import Factor, Recipe, Study
from seedbed.errors import StudyError
from seedbed.recipe.scale import SMOKE
from seedbed.study.designs import all_designs
from seedbed.variants import CLIP

FACTORS = (
    Factor("layers", at="text.layers", levels=(3, 6)),
    Factor("width", at="text.width", levels=(64, 128)),
    Factor("lr", at="optimizer.lr", levels=(1e-3, 2e-3)),
    Factor("decay", at="optimizer.weight_decay", levels=(0.1, 0.2)),
)
EVERY = [
    dict(zip([factor.name for factor in FACTORS], labels, strict=True))
    for labels in itertools.product(*[list(factor.levels) for factor in FACTORS])
]
# What a study of these factors may state, by design: a new design is asked for here by name.
STATED: dict[str, list[Any]] = {
    "fraction": [("layers * width * lr * decay",), ("layers * width * lr",), 4],
    "leave_one_out": [{name: EVERY[-1][name] for name in EVERY[-1]}],
    "listed": [(EVERY[0], EVERY[-1]), ({"width": 128, "decay": 0.2}, {"layers": 6, "lr": 2e-3})],
    "one_at_a_time": [True, {"width": 128}],
    "optimal": [7, {"cells": 9, "interactions": ("layers * lr",)}],
    "screening": ["plackett_burman"],
    "subset": [2],
}
EACH = pytest.mark.parametrize(
    ("name", "given"), [(name, given) for name in all_designs() for given in STATED[name]]
)


def study(**design: Any) -> Study:
    return Study(
        name="part",
        question="Which?",
        base=Recipe.paper(objective=CLIP),
        factors=FACTORS,
        **design,
    )


def test_there_is_a_design() -> None:
    assert "fraction" in all_designs()


def test_without_a_design_every_combination_is_trained() -> None:
    assert [dict(cell.items()) for cell in study().cells()] == EVERY


@EACH
def test_its_cells_are_combinations_of_levels_each_once(name: str, given: Any) -> None:
    cells = [dict(cell.items()) for cell in study(**{name: given}).cells()]
    assert cells and all(cell in EVERY for cell in cells)
    assert len({tuple(cell.items()) for cell in cells}) == len(cells)


@EACH
def test_every_level_is_trained(name: str, given: Any) -> None:
    cells = study(**{name: given}).cells()
    for factor in FACTORS:
        assert {cell[factor.name] for cell in cells} == set(factor.levels)


@EACH
def test_it_is_a_value_in_words_and_gives_the_same_cells_again(name: str, given: Any) -> None:
    one, other = study(**{name: given}), study(**{name: given})
    assert one.design == other.design and one.cells() == other.cells()
    assert str(one.design) == str(other.design) and " object at 0x" not in str(one.design)


@EACH
def test_its_trials_are_its_cells(name: str, given: Any) -> None:
    one = study(**{name: given})
    assert [trial.cell for trial in one.trials(SMOKE, seeds=(0,))] == one.cells()


@pytest.mark.parametrize("name", all_designs())
def test_what_it_cannot_read_is_refused(name: str) -> None:
    for given in (object(), ("nobody * nothing * never",)):
        with pytest.raises(StudyError):
            study(**{name: given})


DEPTH = Factor("depth", at="text.layers", levels=(1, 3, 12), baseline=3)
RATE = Factor("rate", at="optimizer.lr", levels=(1e-3, 2e-3))
DECAY = Factor("decay", at="optimizer.weight_decay", levels=(0.1, 0.2), baseline=0.2)
# By design and what is stated: depth, rate and decay of every cell, the centre first. The baseline
# is 3, 1e-3 and 0.2.
TABLES: list[tuple[str, Any, str]] = [
    ("one_at_a_time", True, "3 1e-3 0.2, 1 1e-3 0.2, 12 1e-3 0.2, 3 2e-3 0.2, 3 1e-3 0.1"),
    (
        "one_at_a_time",
        {"depth": 12, "decay": 0.1},
        "12 1e-3 0.1, 1 1e-3 0.1, 3 1e-3 0.1, 12 2e-3 0.1, 12 1e-3 0.2",
    ),
    (
        "leave_one_out",
        {"depth": 12, "rate": 2e-3, "decay": 0.1},
        "12 2e-3 0.1, 3 2e-3 0.1, 12 1e-3 0.1, 12 2e-3 0.2, 3 1e-3 0.2",
    ),
    # What it does not name stays at its baseline, and nothing is left out of that.
    ("leave_one_out", {"depth": 1, "rate": 2e-3}, "1 2e-3 0.2, 3 2e-3 0.2, 1 1e-3 0.2, 3 1e-3 0.2"),
    ("leave_one_out", {"depth": 1}, "1 1e-3 0.2, 3 1e-3 0.2"),
]


@pytest.mark.parametrize(("name", "given", "table"), TABLES)
def test_cells_around_a_cell_are_those_of_the_table(name: str, given: Any, table: str) -> None:
    base = Recipe.paper(objective=CLIP)
    one = Study(name="a", question="?", base=base, factors=(DEPTH, RATE, DECAY), **{name: given})
    rows = [tuple(map(float, row.split())) for row in table.split(", ")]
    assert [tuple(map(float, cell.values())) for cell in one.cells()] == rows
    assert [list(cell) for cell in one.cells()] == [["depth", "rate", "decay"]] * len(rows)


NEW = """
from dataclasses import dataclass

from seedbed.study.cell_design import CellDesign
from seedbed.study.crossing import crossed


@dataclass(frozen=True)
class Every(CellDesign):
    step: int

    @classmethod
    def parse(cls, given, factors, baseline):
        return cls(given)

    def cells(self, factors, allowed):
        return list(crossed(factors))[:: self.step]

    def __str__(self):
        return f"every {self.step}th cell"
"""
USE = """
import sys, seedbed.study.designs as place
place.__path__.append(sys.argv[1])
from seedbed import Factor, Recipe, Study
from seedbed.variants import CLIP
factors = (
    Factor("layers", at="text.layers", levels=(3, 6)),
    Factor("width", at="text.width", levels=(64, 128)),
)
base = Recipe.paper(objective=CLIP)
one = Study(name="a", question="?", base=base, factors=factors, every=3)
print([tuple(cell.values()) for cell in one.cells()], one.design)
try:
    Study(name="a", question="?", base=base, factors=factors, evry=3)
except Exception as error:
    print(error)
try:
    Study(name="a", question="?", base=base, factors=(
        Factor("a", at="optimizer.lr", levels=(1e-3, 2e-3)),
        Factor("b", at="optimizer.weight_decay", levels=(0.1, 0.2)),
        Factor("c", at="embed_dim", levels=(64, 128)),
    ), every=2, fraction=("a * b * c",))
except Exception as error:
    print(error)
"""


def test_a_design_is_one_new_file(tmp_path: Path) -> None:
    (tmp_path / "every.py").write_text(NEW)
    line = [sys.executable, "-c", USE, str(tmp_path)]
    shown = subprocess.run(line, capture_output=True, text=True).stdout.splitlines()
    assert shown[0] == "[(3, 64), (6, 128)] every 3th cell"
    assert "Study takes no 'evry'" in shown[1] and "every" in " ".join(shown[1:])
    assert "states the designs every and fraction" in " ".join(shown)
