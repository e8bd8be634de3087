"""Screening and optimal designs. Oracles: inner products of columns, and every possible choice."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from seedbed import Factor, Recipe, Study
from seedbed.errors import StudyError
from seedbed.study.cell import Cell
from seedbed.study.crossing import crossed
from seedbed.study.designs.optimal import STARTS, Optimal, exchanged, model_of
from seedbed.study.designs.screening import Screening
from seedbed.study.designs.subset import Subset
from seedbed.variants import CLIP


def two_levels(number: int) -> tuple[Factor, ...]:
    return tuple(Factor(f"f{n}", at="optimizer.lr", levels=(1e-3, 2e-3)) for n in range(number))


def every(cell: Cell) -> bool:
    return True


# Of 28, 36, 44, 52 and 56 runs pydoe has no matrix: the next that it has are taken.
RUNS = (4, 8, 12, 16, 20, 24, 32, 32, 40, 40, 48, 48, 64, 64, 64, 64)


@pytest.mark.parametrize("number", range(2, 64))
def test_plackett_and_burman_main_effects_are_orthogonal(number: int) -> None:
    runs = RUNS[number // 4]
    own = two_levels(number)
    cells = Screening("plackett_burman").cells(own, every)
    columns = np.array([[-1 if cell[f.name] == 1e-3 else 1 for f in own] for cell in cells])
    assert len(cells) == runs
    assert (columns.T @ columns == runs * np.eye(number)).all()
    assert Cell({f.name: 1e-3 for f in own}) in cells  # the cell of first levels


def test_eleven_factors_in_twelve_runs_hold_a_third_of_each_interaction() -> None:
    # Plackett-Burman 12: every main effect has correlation 1/3 with the 45 interactions of the
    # other factors (Hamada and Wu, Journal of Quality Technology 24, 1992).
    lines = Screening("plackett_burman").aliases(two_levels(11))
    assert lines == tuple(f"f{n} holds 0.33 of 45 interactions of two" for n in range(11))


def test_a_definitive_screening_keeps_main_effects_clear_of_interactions_and_squares() -> None:
    own = tuple(Factor(f"f{n}", at="text.layers", levels=(3, 6, 12)) for n in range(6))
    cells = Screening("definitive").cells(own, every)
    assert len(cells) == 13  # 2 k + 1
    columns = np.array([[{3: -1, 6: 0, 12: 1}[cell[f.name]] for f in own] for cell in cells])
    second = [columns[:, a] * columns[:, b] for a in range(6) for b in range(a, 6)]
    assert not np.array(second @ columns).any()
    assert (columns.T @ columns == np.diag([10] * 6)).all()


def test_an_optimal_design_is_the_best_of_all_choices() -> None:
    own = (
        Factor("a", at="text.layers", levels=(3, 6, 12)),
        Factor("b", at="text.width", levels=(64, 128)),
        Factor("c", at="optimizer.lr", levels=(1e-3, 2e-3)),
    )
    cells = [
        Cell(zip("abc", labels, strict=True))
        for labels in itertools.product((3, 6, 12), (64, 128), (1e-3, 2e-3))
    ]

    def model(some: tuple[Cell, ...]) -> np.ndarray:
        return np.array(
            [[1, c["a"] == 6, c["a"] == 12, c["b"] == 128, c["c"] == 2e-3] for c in some], float
        )

    def worth(some: tuple[Cell, ...]) -> float:
        return float(np.linalg.det(model(some).T @ model(some)))

    best = max(worth(some) for some in itertools.combinations(cells, 6) if cells[0] in some)
    chosen = Optimal(6, (), cells[0]).cells(own, every)
    assert cells[0] in chosen and len(set(chosen)) == 6
    assert worth(tuple(chosen)) == pytest.approx(best)


@pytest.mark.parametrize(
    ("levels", "number", "pairs"),
    [
        ((3, 3, 3), 9, ()),
        ((5, 4, 3), 16, ()),
        ((2, 2, 2, 2), 7, ()),
        ((2, 2, 2, 2, 2), 12, ()),
        ((3, 3, 3, 3), 20, (("f0", "f1"),)),
    ],
)
def test_the_last_digits_of_the_arithmetic_do_not_choose_the_cells(
    levels: tuple[int, ...], number: int, pairs: tuple[tuple[str, str], ...]
) -> None:
    """Equal gains differ by rounding alone, as two machines' linear algebra."""
    own = tuple(
        Factor(f"f{n}", at="text.layers", levels=range(1, num + 1)) for n, num in enumerate(levels)
    )
    model = model_of(list(crossed(own)), own, pairs)
    for start in range(STARTS):
        chosen = exchanged(model, number, start, [0])
        for seed in range(5):
            noise = 1e-13 * np.random.default_rng(seed).standard_normal(model.shape)
            assert exchanged(model + noise, number, start, [0]) == chosen


@pytest.mark.timeout(30)
def test_too_many_combinations_are_refused_before_they_are_made() -> None:
    own = two_levels(24)
    first = Cell({f.name: 1e-3 for f in own})
    with pytest.raises(StudyError, match=r"chooses among 16,777,216 combinations of levels"):
        Optimal(30, (), first).cells(own, every)
    own = two_levels(15)
    with pytest.raises(StudyError, match=r"chooses among 32,768 combinations"):
        Optimal(30, (), first).cells(own, every)


def test_a_subset_has_its_levels_as_often_as_each_other() -> None:
    own = (
        Factor("a", at="text.layers", levels=(3, 6, 9)),
        Factor("b", at="text.width", levels=(64, 128, 192)),
        Factor("c", at="optimizer.lr", levels=(1e-3, 2e-3, 3e-3)),
    )
    cells = Subset(3).cells(own, every)
    assert len(cells) == 9
    for one, other in itertools.combinations("abc", 2):
        assert len({(cell[one], cell[other]) for cell in cells}) == 9  # every pair once


@pytest.mark.parametrize(
    ("design", "message"),
    [
        ({"screening": "plackett_burmann"}, "plackett_burman"),
        ({"screening": "definitive"}, "has 2 levels"),
        ({"optimal": 2}, "need as many at least"),
        ({"optimal": {"cells": 5, "interactions": ("f0 * f9",)}}, "names the factor 'f9'"),
        ({"optimal": 8}, "there are 8 cells"),
        ({"subset": 3}, "no factor has more than 2 levels"),
        ({"leave_one_out": {"f0": 1e-3}}, "is the baseline"),
        ({"listed": ({"f0": 2e-3}, {"f0": 2e-3})}, "twice"),
        ({"one_at_a_time": {"f0": 9}}, "names the level f0=9"),
        ({"fraction": 2}, "below 3"),
    ],
)
def test_what_a_design_cannot_be_is_refused(design: dict[str, Any], message: str) -> None:
    paths = ("optimizer.lr", "optimizer.weight_decay", "optimizer.beta2")
    own = tuple(Factor(f"f{n}", at=path, levels=(1e-3, 2e-3)) for n, path in enumerate(paths))
    with pytest.raises(StudyError, match=message):
        Study(name="part", question="?", base=Recipe.paper(objective=CLIP), factors=own, **design)
