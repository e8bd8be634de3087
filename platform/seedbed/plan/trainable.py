"""A study without the cells that its towers and terms do not allow at a scale, where it asks so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seedbed.errors import StudyError
from seedbed.plan.cost import counted, estimate
from seedbed.plan.tokens import has_one_token
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import Scale
from seedbed.study.impossible import asks, narrowed
from seedbed.study.study import Study


def trainable(study: Study, scale: Scale, overrides: Mapping[str, Any] | None = None) -> Study:
    """`study` as it is, or with `forbid("impossible")` with a rule for what cannot be trained.

    The parts of a cell are built without their weights, which a plan counts anyway. Raises
    StudyError where a level can be trained with nothing.
    """
    if not asks(study.constraints):
        return study
    recipe = study.recipes(scale, overrides)
    known: dict[tuple[Any, ...], StudyError | None] = {}

    def check(found: Recipe) -> None:
        same = counted(found)
        if same not in known:
            known[same] = _fault(found)
        fault = known[same]
        if fault is not None:
            raise fault

    rules = narrowed(study.constraints, study.factors, lambda cell: check(recipe(cell)))
    return study if rules == study.constraints else study.of_cells(constraints=rules)


def _fault(recipe: Recipe) -> StudyError | None:
    """What the plan would refuse `recipe` for."""
    try:
        estimate(recipe)
    except StudyError as error:
        return error
    if not has_one_token(recipe.image, recipe.objective):
        return None
    return StudyError(
        f"'{recipe.image.name}' gives one token of {recipe.image.size} px",
        why="a term there compares token by token, and with a single one it compares whole "
        "pictures",
        mend="raise image.size, or choose a tower with a finer map",
    )
