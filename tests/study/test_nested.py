"""Factors within levels of another. Oracles: cells written by hand, and studies without them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from seedbed.analyze import contrasts
from seedbed.errors import StudyError
from seedbed.plan.levels import resolved_words
from seedbed.plan.plan import plan
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import SCALES
from seedbed.study.best import best
from seedbed.study.cell import Cell
from seedbed.study.factor import Factor
from seedbed.study.recipes import recipes_at
from seedbed.study.study import Study
from seedbed.variants import CLIP, DECLIP, SLIP

SUPERVISION = Factor("supervision", at="objective", levels={"clip": CLIP, "declip": DECLIP})
DEPTH = Factor("depth", at="text.layers", levels=(1, 2))


def queue(**fields: Any) -> Factor:
    given = {"levels": (64, 128), "within": {"supervision": "declip"}} | fields
    return Factor("queue", at="objective.nearest_text.size", **given)


def study(*factors: Factor, **fields: Any) -> Study:
    return Study(
        name="nested", question="?", base=Recipe.paper(objective=CLIP), factors=factors, **fields
    )


def test_only_where_it_says_something_it_has_its_levels() -> None:
    cells = [tuple(cell.values()) for cell in study(SUPERVISION, queue(), DEPTH).cells()]
    assert cells == [
        ("clip", 64, 1),
        ("clip", 64, 2),
        ("declip", 64, 1),
        ("declip", 64, 2),
        ("declip", 128, 1),
        ("declip", 128, 2),
    ]
    stands = [cell["queue"] for cell in study(SUPERVISION, queue(baseline=128)).cells()]
    assert stands == [128, 64, 128]
    three = Factor("supervision", at="objective", levels={"clip": CLIP, "s": SLIP, "d": DECLIP})
    some = study(three, queue(within={"supervision": ["d"]}), DEPTH)
    assert len(some.cells()) == 2 * (1 + 1 + 2)


def test_elsewhere_trials_are_those_of_a_study_without_it() -> None:
    nested = {t.cell["supervision"]: t for t in trials(study(SUPERVISION, queue()))[:2]}
    (plain, *_) = trials(study(DEPTH))
    assert plain.recipe.text.layers == 1
    assert nested["clip"].recipe == plain.recipe.patch(
        "text.layers", nested["clip"].recipe.text.layers
    )
    assert nested["declip"].recipe.get("objective.nearest_text.size") == 64


def trials(what: Study) -> Any:
    return plan(what, SCALES["smoke"], seeds=(0,)).trials


def test_a_plan_says_what_its_levels_are_and_where_it_stands_still() -> None:
    what = study(SUPERVISION, queue())
    words = resolved_words(what.factors[1], trials(what))
    assert words == {
        64: "objective.nearest_text.size 64",
        128: "objective.nearest_text.size 128",
    }
    (rule,) = what.constraints
    assert str(rule) == "supervision=clip with queue=128"
    assert "nested in supervision=declip" in rule.why and "stands at 64" in rule.why


def test_its_effect_is_that_within() -> None:
    rows = []
    for seed in range(3):
        for n, cell in enumerate(study(SUPERVISION, queue(), DEPTH).cells()):
            rows.append({**cell, "seed": seed, "y": (seed + 1) * (n + 2) % 7 + n})
    table = pd.DataFrame(rows)
    within = table[table["supervision"] == "declip"].pivot_table(
        index=["seed", "depth"], columns="queue", values="y"
    )
    names = ["supervision", "queue", "depth"]
    found = contrasts(table, "y", names, of="queue", baseline=64, block="seed", order=1)
    expected = float((within[128] - within[64]).mean())
    assert found["estimate"].tolist() == pytest.approx([expected])


@pytest.mark.parametrize(
    ("factors", "said"),
    [
        ((SUPERVISION, queue(within={"supervsion": "declip"})), "is within 'supervsion'"),
        ((queue(), SUPERVISION), "a factor before it"),
        ((SUPERVISION, queue(within={"supervision": "delip"})), "within supervision=delip"),
        ((SUPERVISION, queue(within={"supervision": ("clip", "declip")})), "every level"),
    ],
)
def test_what_it_cannot_be_nested_in_is_answered(factors: tuple[Factor, ...], said: str) -> None:
    with pytest.raises(StudyError, match=said):
        study(*factors)


def test_where_it_says_nothing_its_field_is_not_there() -> None:
    rate = Factor("lr", at="optimizer.lr", levels=(1e-4, 1e-3), within={"supervision": "declip"})
    with pytest.raises(StudyError, match=r"sets optimizer\.lr, which every other cell has too"):
        study(SUPERVISION, rate)
    slip = Factor("supervision", at="objective", levels={"declip": DECLIP, "other": DECLIP})
    with pytest.raises(StudyError, match="size, which supervision=other has too"):
        study(slip, queue())
    whole = Factor("b", at="objective", levels={"x": SLIP, "y": CLIP}, within=queue().within)
    with pytest.raises(StudyError, match="sets objective, which every other cell has too"):
        study(SUPERVISION, whole)


def test_no_factor_is_nested_in_one_that_is() -> None:
    start = Factor(
        "start",
        at="objective.nearest_text.start",
        levels=("empty", "random"),
        within={"queue": 64},
    )
    with pytest.raises(StudyError, match="and itself in none"):
        study(SUPERVISION, queue(), start)


def test_a_recipe_does_not_depend_on_the_order_in_which_a_cell_is_written() -> None:
    what, scale = study(SUPERVISION, queue()), SCALES["smoke"]
    for order in (("supervision", "queue"), ("queue", "supervision")):
        given = {"supervision": "declip", "queue": 128}
        recipe = recipes_at(scale, what.base, what.factors, {})(Cell({n: given[n] for n in order}))
        assert recipe.get("objective.nearest_text.size") == 128


def test_centred_designs_go_around_a_cell_in_which_it_says_something() -> None:
    centre = {"supervision": "declip", "queue": 64}
    cells = study(SUPERVISION, queue(), DEPTH, one_at_a_time=centre).cells()
    assert {tuple(cell.values()) for cell in cells} == {
        ("declip", 64, 1),
        ("clip", 64, 1),
        ("declip", 128, 1),
        ("declip", 64, 2),
    }
    with pytest.raises(StudyError, match="name a centre where the nested factor"):
        study(SUPERVISION, queue(), DEPTH, one_at_a_time=True)
    drawn = study(SUPERVISION, queue(), DEPTH, one_at_a_time=best("depths"))
    assert {cell["queue"] for cell in drawn.cells()} == {64, 128}


def test_it_is_nested_in_one_factor() -> None:
    with pytest.raises(StudyError, match="within is"):
        queue(within={"supervision": "declip", "depth": 1})
