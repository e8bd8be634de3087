"""The lint on the reference's own released configurations. Oracle: the table of their values, read
in that code (`tests/fixtures/released.py`)."""

from __future__ import annotations

import itertools

import pytest
from tests.fixtures.released import CONFIGURATIONS, released_study

from seedbed.plan.lint.examine import errors_of, examine
from seedbed.plan.lint.rule import Draft
from seedbed.plan.lint.rules import all_rules
from seedbed.plan.plan import plan
from seedbed.recipe.scale import SCALES, SMOKE

FOUND = {
    "optimizer.lr moves with supervision: {slip, filip} = 0.0005, others 0.001",
    "optimizer.weight_decay moves with supervision: {slip, filip} = 0.5, others 0.1",
    "embed_dim moves with supervision: filip = 768, others 512",
    "the views of a sample move with supervision: clip = image + text, slip = image + image_a + "
    "image_b + text, filip = image_a + text_masked, others image_a + image_b + text_aug + "
    "text_masked",
}


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_rate_decay_augmentation_and_width_are_found_and_nothing_else(scale: object) -> None:
    draft = Draft(plan(released_study(), scale))  # type: ignore[arg-type]
    rules = {name: rule for name, rule in all_rules().items() if name != "budgets"}
    found = {f.what for rule in rules.values() for f in rule.judge(draft)}
    assert found == FOUND


def test_levels_that_have_one_value_in_the_table_stand_together() -> None:
    (lr, decay, width) = (
        {
            value: [name for name in CONFIGURATIONS if CONFIGURATIONS[name][column] == value]
            for value in {row[column] for row in CONFIGURATIONS.values()}
        }
        for column in range(3)
    )
    assert lr[5e-4] == decay[0.5] == ["slip", "filip"] and width[768] == ["filip"]
    draft = Draft(plan(released_study(), SCALES["paper"]))
    by_field = {moved.field: moved.values for moved in draft.moved}
    for field, groups in (
        ("optimizer.lr", lr), ("optimizer.weight_decay", decay), ("embed_dim", width),
    ):  # fmt: skip
        for name, other in itertools.combinations(CONFIGURATIONS, 2):
            together = any({name, other} <= set(group) for group in groups.values())
            assert (by_field[field][name] == by_field[field][other]) is together


def test_how_they_are_trained_stops_a_run_until_it_is_declared() -> None:
    def errors(**fields: object) -> list[str]:
        draft = Draft(plan(released_study(**fields), SMOKE))
        return [f.what.split()[0] for f in errors_of(all_rules()["fields"].judge(draft))]

    assert errors() == ["optimizer.lr", "optimizer.weight_decay"]
    assert errors(also_moves=("optimizer.lr",)) == ["optimizer.weight_decay"]
    assert errors(also_moves=("optimizer.lr", "optimizer.weight_decay")) == []


@pytest.mark.slow
def test_their_unequal_views_and_arithmetic_are_found_too(counted_home: object) -> None:
    found = examine(Draft(plan(released_study(), SMOKE)))
    assert {f.what for f in found if f.rule != "budgets"} == FOUND
    (budgets,) = [f for f in found if f.rule == "budgets"]
    # One view of CLIP's and FILIP's, three of SLIP's, two of the others'.
    views = "image views a sample slip = 3x, {declip, defilip} = 2x, others 1x"
    assert views in budgets.what
