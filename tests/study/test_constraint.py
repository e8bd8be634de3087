"""Combinations that a study does not train. Oracle: the product of levels, filtered by hand."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from seedbed import Factor, Recipe, Study, forbid
from seedbed.errors import StudyError
from seedbed.variants import CLIP

FACTORS = (
    Factor("layers", at="text.layers", levels=(3, 6, 9)),
    Factor("width", at="text.width", levels=(64, 128)),
    Factor("lr", at="optimizer.lr", levels=(1e-3, 2e-3)),
)


def study(**fields: Any) -> Study:
    base = Recipe.paper(objective=CLIP)
    return Study(name="part", question="Which?", base=base, factors=FACTORS, **fields)


def test_a_cell_is_left_out_where_all_levels_of_a_rule_meet() -> None:
    one = study(constraints=(forbid(layers=(3, 6), width=64), forbid(width=128, lr=2e-3)))
    expected = [
        (layers, width, lr)
        for layers, width, lr in itertools.product((3, 6, 9), (64, 128), (1e-3, 2e-3))
        if not (layers in (3, 6) and width == 64) and not (width == 128 and lr == 2e-3)
    ]
    assert [tuple(cell.values()) for cell in one.cells()] == expected


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([("wdth", 64), ("layers", 3)], "names the factor 'wdth'"),
        ([("width", 65), ("layers", 3)], "names the level width=65"),
        ([("width", (64, 128)), ("layers", 3)], "no cell with layers=3 is trained"),
    ],
)
def test_a_rule_that_forbids_nothing_or_a_whole_level_is_refused(
    rules: list[tuple[str, Any]], message: str
) -> None:
    with pytest.raises(StudyError, match=message):
        study(constraints=(forbid(**dict(rules)),))


def test_a_rule_about_one_factor_is_refused() -> None:
    with pytest.raises(StudyError, match="two or more factors"):
        forbid(width=64)


def test_a_design_that_cannot_choose_refuses_a_forbidden_cell_and_one_that_can_avoids_it() -> None:
    rule = forbid(layers=3, width=64, lr=1e-3)
    with pytest.raises(StudyError, match="is forbidden"):
        study(constraints=(rule,), one_at_a_time={"layers": 3, "width": 64, "lr": 1e-3})
    chosen = study(constraints=(forbid(layers=9, width=128),), optimal=7).cells()
    assert len(chosen) == 7
    assert all((cell["layers"], cell["width"]) != (9, 128) for cell in chosen)
