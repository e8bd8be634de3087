"""Shares of what a scale says. Oracle: the scale's own value, by hand."""

from __future__ import annotations

import pytest

from seedbed import Factor, Recipe, Study
from seedbed.errors import StudyError
from seedbed.recipe.scale import DEMO, PAPER
from seedbed.recipe.share import Share
from seedbed.study.cell import Cell
from seedbed.variants import CLIP


def study(**scales: int) -> Study:
    return Study(
        name="s",
        question="q",
        base=Recipe.paper(objective=CLIP),
        factors=(
            Factor("budget", at="budget.samples", levels={"1/10": Share(0.1), "1": Share(1)}),
        ),
        scales={name: {"budget.samples": samples} for name, samples in scales.items()},
    )


def samples(of: Study, label: str, scale: object = DEMO) -> int:
    return of.recipe(Cell({"budget": label}), scale).budget.samples  # type: ignore[arg-type]


def test_a_share_is_of_what_the_scale_says() -> None:
    assert DEMO.patches["budget.samples"] == 10_240
    assert [samples(study(), label) for label in ("1/10", "1")] == [1_024, 10_240]
    assert samples(study(), "1/10", PAPER) == 52_428_800  # of 128,000 steps of 4,096


def test_a_share_is_of_the_studys_own_patch_where_it_has_one() -> None:
    assert samples(study(demo=50_000), "1/10") == 5_000


@pytest.mark.parametrize("value", [0, -1, float("nan"), True])
def test_a_share_of_nothing_is_refused(value: float) -> None:
    with pytest.raises(StudyError, match="a Share is"):
        Share(value)


def test_a_share_of_what_is_not_counted_is_refused_with_its_factor() -> None:
    with pytest.raises(StudyError, match=r"Factor 'rate'.*optimizer\.lr is 0\.001"):
        Study(
            name="s",
            question="q",
            base=Recipe.paper(objective=CLIP),
            factors=(Factor("rate", at="optimizer.lr", levels={"a": Share(0.1), "b": Share(1)}),),
        )
