"""The rounds of a search: candidates of all cells, trained together, and the best of each cell.

A search keeps no state of its own. Started again it asks for the same candidates, finds the records
of those that have ended, and goes on with the rest.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from seedbed.plan.plan import Plan
from seedbed.plan.tuned import Candidate, Tuned, TunedCell, best_of
from seedbed.recipe.recipe import Recipe
from seedbed.study.cell import Cell
from seedbed.study.record import TrialRecord
from seedbed.study.trial import Trial
from seedbed.tuning.searches import CellSearch

# Trains a round, and gives its records by key; none of a trial that failed for good.
Measure = Callable[[Plan, int], Mapping[str, TrialRecord]]


def tune_cells(plan: Plan, measure: Measure) -> Tuned:
    """Tune the nuisance fields of every cell of `plan` with an equal budget.

    `measure` is given the plan of each round, and its number from 1. Every cell of a design gets as
    many candidates, whatever became of them.
    """
    assert plan.nuisance is not None
    nuisance, tuning = plan.nuisance, plan.nuisance.tuning
    response = tuning.response or plan.responses[0]
    less = not plan.metrics[response].higher_is_better
    recipes = {trial.cell: trial.recipe for trial in plan.trials}
    searches = {
        c: CellSearch(nuisance, recipe, less_is_better=less) for c, recipe in recipes.items()
    }
    found: dict[Cell, list[Candidate]] = {cell: [] for cell in recipes}
    for number, size in enumerate(tuning.sizes, 1):
        asked = {cell: search.ask(size) for cell, search in searches.items()}
        trials = {
            (cell, n): _trials(cell, recipes[cell], values[n], nuisance.seeds)
            for n in range(size)
            for cell, values in asked.items()
        }
        # Two candidates may be the same to the digits that count.
        unique = {trial.key: trial for group in trials.values() for trial in group}
        records = measure(plan.of_trials(list(unique.values())), number)
        for cell, search in searches.items():
            told = [
                _told(asked[cell][n], number, trials[cell, n], records, response)
                for n in range(size)
            ]
            search.tell(told)
            found[cell] += told
    cells = [
        TunedCell(cell=cell, candidates=tuple(them), chosen=best_of(them, less))
        for cell, them in found.items()
    ]
    return Tuned(nuisance=nuisance, response=response, cells=tuple(cells))


def _trials(
    cell: Cell, recipe: Recipe, values: Mapping[str, float], seeds: Sequence[int]
) -> list[Trial]:
    """A candidate's trials, one for each seed of the search."""
    first = Trial(cell, recipe.patched(values), searched=tuple(values))
    return [first.reseeded(seed) for seed in seeds]


def _told(
    values: Mapping[str, float],
    number: int,
    trials: Sequence[Trial],
    records: Mapping[str, TrialRecord],
    response: str,
) -> Candidate:
    """What became of a candidate: a mean is one of all its seeds, or none."""
    known = [records[trial.key] for trial in trials if trial.key in records]
    measured = [
        r.metrics[response] for r in known if r.status == "completed" and response in r.metrics
    ]
    status = "completed"
    if len(measured) < len(trials):
        status = "diverged" if any(r.status != "completed" for r in known) else "failed"
    return Candidate(
        values=values,
        round=number,
        status=status,
        response=statistics.fmean(measured) if status == "completed" else None,
        keys=tuple(trial.key for trial in trials),
    )
