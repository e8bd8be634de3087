"""All metrics that a study's trials record: any of them can be a response.

Only the list is made here: each metric is declared by the module that measures it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from seedbed.errors import StudyError, nearest
from seedbed.evaluate.means import MEANS, OVER_TESTS
from seedbed.evaluate.named import NamedTest
from seedbed.evaluate.tasks import all_metrics, all_tasks
from seedbed.metric import Metric, by_name
from seedbed.study.recorded import EVERY, recorded

if TYPE_CHECKING:
    from seedbed.model.objective import Objective
    from seedbed.recipe.recipe import Recipe
    from seedbed.study.cell import Cell

ALWAYS = by_name((*all_metrics(), *EVERY))  # whatever the recipe says


def measured(recipes: Iterable[Recipe], tests: Iterable[NamedTest] = ()) -> dict[str, Metric]:
    """By name, the metrics that trials of `recipes` record which are scored on `tests`."""
    # Of 10,000 trials most record the same: one recipe of each kind is enough.
    kinds = {(recipe.objective, recipe.corpus): recipe for recipe in recipes}
    metrics = (metric for recipe in kinds.values() for metric in recorded(recipe))
    tests = list(tests)
    several = OVER_TESTS if len(tests) > 1 else ()
    return ALWAYS | by_name(metrics) | by_name((*(m for t in tests for m in t.metrics), *several))


def declared(name: str) -> Metric:
    """What this version declares of `name`, or else a plain number of which more is better."""
    return ALWAYS.get(name) or Metric(name)


def check_responses(responses: Sequence[str], known: Mapping[str, Metric]) -> None:
    """Raise StudyError for a response that is not among the `known`, and for one twice."""
    for name in responses:
        if name not in known:
            raise StudyError(
                f"no trial measures the response '{name}'",
                why="it would be missing in every trial, after all of them had been trained",
                mend=nearest(name, known),
            )
        if list(responses).count(name) > 1:
            raise StudyError(
                f"the response '{name}' is given twice",
                why="its columns could not be told apart",
                mend="give each response once",
            )


def with_means(responses: tuple[str, ...], tests: Sequence[NamedTest]) -> tuple[str, ...]:
    """With several test sets their means are responses too, the last where nobody says so."""
    means = [metric.name for metric in MEANS if metric.name not in responses]
    return (*responses, *means) if len(tests) > 1 else responses


def zero_shot_check(
    responses: Sequence[str], tests: Sequence[NamedTest]
) -> Callable[[Cell, Recipe], Recipe]:
    """Gives a cell's recipe back.

    It raises StudyError for a cell without alignment where a response compares the two towers.
    """
    comparing = {m.name for task in all_tasks() if task.needs_alignment for m in task.metrics}
    zero_shot = [name for name in responses if name in comparing]
    zero_shot += [test.primary for test in tests]
    aligning: set[Objective] = set()  # of 10,000 cells, which have few

    def checked(cell: Cell, recipe: Recipe) -> Recipe:
        objective = recipe.objective
        if zero_shot and objective not in aligning:
            if objective.aligning() is None:
                raise StudyError(
                    f"the cell {cell} has no term that draws pictures and captions together",
                    why=f"the response {zero_shot[0]} compares pictures with captions, and such a "
                    "model has learnt nothing to compare them by",
                    mend="keep InfoNCE, MultiView or LateInteraction in every cell, or choose "
                    "other responses",
                )
            aligning.add(objective)
        return recipe

    return checked
