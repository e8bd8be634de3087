"""Aliases of fractions. Oracle: published tables, and the columns' own products.

The published ones are those of Montgomery, Design and Analysis of Experiments, 8th ed., tables 8.8
and 8.13, which R's FrF2 prints for the same generators.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from seedbed import Factor
from seedbed.study.cell import Cell
from seedbed.study.designs.fraction import Fraction, words_of_resolution

# Generators, and what is aliased with what, signs left out.
PUBLISHED = {
    ("ABCD",): ["AB CD", "AC BD", "AD BC"],
    ("ABCE", "BCDF"): ["AB CE", "AC BE", "AD EF", "AE BC DF", "AF DE", "BD CF", "BF CD"],
    ("ABD", "ACE", "BCF", "ABCG"): [
        "A BD CE FG",
        "B AD CF EG",
        "C AE BF DG",
        "D AB CG EF",
        "E AC BG DF",
        "F BC AG DE",
        "G CD BE AF",
    ],
}


def factors(names: str) -> tuple[Factor, ...]:
    return tuple(Factor(name, at="optimizer.lr", levels=(1e-3, 2e-3)) for name in names)


@pytest.mark.parametrize(("words", "table"), PUBLISHED.items())
def test_it_is_the_published_table(words: tuple[str, ...], table: list[str]) -> None:
    names = sorted(set("".join(words)))
    ours = Fraction(tuple(map(frozenset, words))).aliased(names)
    assert [sorted(one.replace(" * ", "").lstrip("-") for one in group) for group in ours] == [
        sorted(line.split()) for line in table
    ]


@pytest.mark.parametrize("words", PUBLISHED)
def test_in_the_cells_aliased_columns_are_equal_up_to_the_sign_that_is_said(
    words: tuple[str, ...],
) -> None:
    names = "".join(sorted(set("".join(words))))
    fraction = Fraction(tuple(map(frozenset, words)))
    cells = fraction.cells(factors(names), lambda cell: True)
    column = {n: np.array([-1 if cell[n] == 1e-3 else 1 for cell in cells]) for n in names}

    def of(effect: str) -> np.ndarray:
        product = np.prod([column[name] for name in effect.lstrip("-").split(" * ")], axis=0)
        return -product if effect.startswith("-") else product

    groups = fraction.aliased(names)
    assert all((of(group[0]) == of(other)).all() for group in groups for other in group[1:])
    # And nothing else is: every other two effects are orthogonal.
    effects = [*names, *(f"{a} * {b}" for a, b in itertools.combinations(names, 2))]
    together = {frozenset(e.lstrip("-") for e in group) for group in groups}
    for one, other in itertools.combinations(effects, 2):
        alike = any({one, other} <= group for group in together)
        assert bool(of(one) @ of(other)) == alike


# The fewest runs at a resolution: Montgomery, table 8.14.
@pytest.mark.parametrize(
    ("num_factors", "resolution", "num_cells"),
    [(3, 3, 4), (4, 4, 8), (5, 3, 8), (5, 5, 16), (6, 4, 16), (7, 3, 8), (7, 4, 16), (8, 4, 16)],
)
def test_a_resolution_takes_the_fewest_cells(
    num_factors: int, resolution: int, num_cells: int
) -> None:
    own = factors("ABCDEFGH"[:num_factors])
    fraction = Fraction.parse(resolution, own, Cell())
    assert fraction is not None and fraction.resolution >= resolution
    assert len(fraction.cells(own, lambda cell: True)) == num_cells


def test_at_a_resolution_above_the_number_of_factors_every_cell_is_trained() -> None:
    assert words_of_resolution(5, factors("ABCD")) == ()
    assert Fraction.parse(5, factors("ABCD"), Cell()) is None
