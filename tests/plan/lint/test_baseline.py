"""A baseline that is not in the design. Oracle: the rows of pydoe, for every baseline."""

from __future__ import annotations

import itertools
from typing import Any

import pydoe
import pytest

from seedbed import Factor, Recipe, Study, forbid
from seedbed.plan.lint.rule import Draft, Finding
from seedbed.plan.lint.rules import all_rules
from seedbed.plan.plan import plan
from seedbed.recipe.scale import SMOKE
from seedbed.variants import CLIP

LEVELS = {"rate": (1e-3, 2e-3, 4e-3), "decay": (0.1, 0.2, 0.4), "beta": (0.9, 0.95, 0.98)}
PATHS = {"rate": "optimizer.lr", "decay": "optimizer.weight_decay", "beta": "optimizer.beta2"}
LISTED = ((0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 1, 1))


def found_in(codes: tuple[int, ...], num_levels: int, **design: Any) -> list[Finding]:
    """What the rule finds where `codes` are the baseline."""
    factors = [
        Factor(name, at=PATHS[name], levels=own[:num_levels], baseline=own[code])
        for (name, own), code in zip(LEVELS.items(), codes, strict=True)
    ]
    base = Recipe.paper(objective=CLIP)
    study = Study(name="s", question="?", base=base, seeds=2, factors=factors, **design)
    return list(all_rules()["baseline"].judge(Draft(plan(study, SMOKE))))


def named(codes: tuple[int, ...]) -> dict[str, float]:
    return {name: own[code] for (name, own), code in zip(LEVELS.items(), codes, strict=True)}


@pytest.mark.parametrize(
    ("num_levels", "design", "rows"),
    [
        # An even number of second levels: of -1 and +1 the product is -1.
        (2, {"fraction": ("rate * decay * beta",)}, pydoe.fracfact("a b -ab") > 0),
        (2, {"screening": "plackett_burman"}, pydoe.pbdesign(3) < 0),
        (3, {"screening": "definitive"}, pydoe.definitive_screening_design(3) + 1),
        (3, {"subset": 3}, pydoe.gsd([3, 3, 3], 3)),
        (2, {"listed": tuple(map(named, LISTED))}, LISTED),
    ],
    ids=["fraction", "screening", "definitive screening", "subset", "list"],
)
def test_it_is_told_exactly_where_the_design_has_no_such_cell(
    num_levels: int, design: dict[str, Any], rows: Any
) -> None:
    trained = {tuple(round(float(code)) for code in row) for row in rows}
    every = set(itertools.product(range(num_levels), repeat=3))
    assert trained < every
    for codes in every:
        found = found_in(codes, num_levels, **design)
        assert bool(found) == (codes not in trained), codes
        assert all(str(cell) in one.what for one in found for cell in named(codes).values())


def test_an_optimal_design_has_it_wherever_it_may() -> None:
    for codes in itertools.product(range(2), repeat=3):
        rules = (forbid(**named((0, 0, 1))),)
        found = found_in(codes, 2, optimal=5, constraints=rules)
        assert [one.severity for one in found] == ["caution"] * (codes == (0, 0, 1))


def test_the_nearest_cell_that_is_trained_mends_it() -> None:
    (found,) = found_in((0, 0, 1), 2, fraction=("rate * decay * beta",))
    assert found.what == (
        "the baseline 'rate=0.001 decay=0.1 beta=0.95' is not among the 4 cells of the design"
    )
    (other,) = (part for part in found.mend.split("; ") if "baseline=" in part)
    assert other.count("Factor(") == 1 and any(
        f"Factor('{name}', ..., baseline={value!r})" in other
        for name, value in (("rate", 2e-3), ("decay", 0.2), ("beta", 0.9))
    )


def test_around_another_cell_levels_are_compared_with_the_baselines_in_that_cell() -> None:
    assert found_in((0, 0, 0), 2, one_at_a_time={"rate": 2e-3, "decay": 0.2}) == []
    assert found_in((0, 0, 0), 2, leave_one_out={"rate": 2e-3, "decay": 0.2}) == []
