"""What cells weigh in a comparison. Oracle: statsmodels' least squares of the same model, with the
columns of patsy."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from seedbed.plan.cells import Cells
from seedbed.plan.planned import PlannedFactor
from seedbed.plan.weighing import Columns, Crossed, Floats, Weights
from seedbed.study.cell import Cell

Shape = dict[str, int]
CROSSED: list[tuple[Shape, int]] = [
    ({"a": 3}, 1),
    ({"a": 3, "b": 4}, 1),
    ({"a": 3, "b": 4}, 2),
    ({"a": 2, "b": 3, "c": 4}, 2),
    ({"a": 2, "b": 3, "c": 2, "d": 2}, 3),
]


def grid(shape: Shape) -> list[Cell]:
    """Every combination, in an order of its own."""
    rows = list(itertools.product(*(range(n) for n in shape.values())))
    order = np.random.default_rng(0).permutation(len(rows))
    return [Cell(zip(shape, rows[n], strict=True)) for n in order]


def factors(shape: Shape) -> dict[str, PlannedFactor]:
    return {
        name: PlannedFactor(name=name, levels=tuple(range(n)), baseline=0)
        for name, n in shape.items()
    }


def differences(shape: Shape, order: int) -> list[tuple[list[Any], list[Any]]]:
    """Sums of marginal means less others: of a level, at a level of another factor, changes of such
    differences, and one in which cells weigh in on both sides."""
    names = list(shape)
    found: list[tuple[list[Any], list[Any]]] = [([{names[0]: 1}], [{names[0]: 0}])]
    if order > 1:
        a, b = names[:2]
        found.append(([{a: 1, b: 2}], [{a: 0, b: 2}]))
        found.append(([{a: 1, b: 2}, {a: 0, b: 0}], [{a: 0, b: 2}, {a: 1, b: 0}]))
    if order > 1 and len(names) > 2:
        a, b, c = names[:3]
        found.append(([{a: 1, b: 2}, {a: 0, c: 1}], [{a: 0, b: 2}, {a: 1, c: 1}]))
    if order > 2:
        found.append(([dict.fromkeys(names[:3], 1)], [dict.fromkeys(names[:3], 0)]))
    return found


def dense(weights: Weights | None, num_cells: int) -> Floats:
    assert weights is not None
    found = np.zeros(num_cells)
    found[weights.cells] = weights.values
    return found


def theirs(shape: Shape, cells: Sequence[Cell], order: int, plus: Any, less: Any) -> Floats:
    """The weights by statsmodels: marginal means are means of its predictions at every cell."""
    table = pd.DataFrame([cell.to_json() for cell in cells])
    codes = [f"C({name}, Sum)" for name in shape]
    terms = [t for n in range(1, order + 1) for t in itertools.combinations(codes, n)]
    formula = f"y ~ {' + '.join(map(':'.join, terms))}"
    fit = smf.ols(formula, table.assign(y=0.0)).fit(method="pinv")

    def of(levels: dict[str, int]) -> Floats:
        there = np.logical_and.reduce([table[name] == level for name, level in levels.items()])
        return np.asarray(fit.model.exog[there].mean(axis=0))

    wanted = sum(map(of, plus)) - sum(map(of, less))
    return np.asarray(wanted @ fit.model.pinv_wexog)


@pytest.mark.parametrize(("shape", "order"), CROSSED)
def test_closed_form_of_a_full_crossing_is_statsmodels_and_the_general_way(
    shape: Shape, order: int
) -> None:
    cells = grid(shape)
    crossed, columns = (
        Crossed.of(factors(shape), cells, order),
        Columns(factors(shape), cells, order),
    )
    assert crossed is not None and crossed.rank == columns.rank
    for plus, less in differences(shape, order):
        assert crossed.holds([*plus, *less])
        ours = dense(crossed.weights(plus, less), len(cells))
        assert ours == pytest.approx(theirs(shape, cells, order, plus, less), abs=1e-10)
        assert ours == pytest.approx(dense(columns.weights(plus, less), len(cells)), abs=1e-10)


def test_where_all_factors_may_act_together_cells_estimate_themselves_if_some_are_missing() -> None:
    shape = {"a": 3, "b": 4}
    cells = [cell for cell in grid(shape) if cell != {"a": 2, "b": 3}]
    crossed, columns = Crossed.of(factors(shape), cells, 2), Columns(factors(shape), cells, 2)
    assert crossed is not None and crossed.rank == columns.rank == 11
    for plus, less in differences(shape, 2):
        assert dense(crossed.weights(plus, less), 11) == pytest.approx(
            dense(columns.weights(plus, less), 11), abs=1e-10
        )
    for one in ({"a": 2}, {"a": 2, "b": 3}):  # means of the cell that is missing
        assert crossed.weights([one], [{"a": 0}]) is columns.weights([one], [{"a": 0}]) is None
    # Without an interaction the other cells say what it would be.
    assert Crossed.of(factors(shape), cells, 1) is None
    assert Columns(factors(shape), cells, 1).weights([{"a": 2}], [{"a": 0}]) is not None


@pytest.mark.parametrize(("shape", "order"), CROSSED[1:])
def test_a_plan_compares_by_the_closed_form_as_it_does_the_general_way(
    shape: Shape, order: int
) -> None:
    """Errors and degrees of freedom of every effect, at two seeds and at more."""
    closed, general = (Cells(factors(shape), grid(shape), order) for _ in range(2))
    general._crossed = None
    for ours, other in zip(
        (*closed.main_effects(), *closed.interactions(), *closed.simple_effects()),
        (*general.main_effects(), *general.interactions(), *general.simple_effects()),
        strict=True,
    ):
        assert ours.variance == pytest.approx(other.variance, rel=1e-10)
        for seeds in (2, 3, 7):
            assert closed.df(ours, seeds) == pytest.approx(general.df(other, seeds), rel=1e-10)


@pytest.mark.slow
def test_2500_cells_of_two_factors_are_compared_in_no_time() -> None:
    """By the model's columns it takes minutes, and 20 kB for each of 2,401 comparisons."""
    shape = {"a": 50, "b": 50}
    cells = Cells(factors(shape), grid(shape))
    main, pairs = cells.main_effects(), cells.interactions()
    assert cells.rank == 2_500 and (len(main), len(pairs)) == (98, 2_401)
    assert {one.variance for one in pairs} == {4.0}  # of four cells
    assert [one.variance for one in main] == pytest.approx([2 / 50] * 98)
    assert sum(one.weights.values.nbytes for one in pairs if one.weights) == 2_401 * 32
