"""The rounds of a search: candidates of all cells, trained together, and the best of each cell.

A search keeps no state of its own. Started again it asks for the same candidates, finds the records
of those that have ended, and goes on with the rest.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from seedbed.plan.plan import Plan
from seedbed.plan.tuned import Candidate, Tuned, TunedCell, best_of
from seedbed.recipe.recipe import Recipe
from seedbed.study.cell import Cell
from seedbed.study.record import TrialRecord
from seedbed.study.screening import to_rung
from seedbed.study.trial import Trial
from seedbed.tuning.searches import CellSearch

# Trains a round, and gives its records by key; none of a trial that failed for good.
Measure = Callable[[Plan, int], Mapping[str, TrialRecord]]
# Of rewards by id, more being better, which go on from a rung where that share does.
Keep = Callable[[Mapping[str, float], float], set[str]]


def tune_cells(plan: Plan, measure: Measure, keep: Keep | None = None) -> Tuned:
    """Tune the nuisance fields of every cell of `plan` with an equal budget.

    `measure` is given the plan of each training of a round, and its number from 1: one for each
    round, or for each rung of it, from which `keep` says who goes on. Every cell of a design gets
    as many candidates, whatever became of them, and as many of them go on.
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
    numbers = itertools.count(1)
    for number, size in enumerate(tuning.sizes, 1):
        asked = {cell: search.ask(size) for cell, search in searches.items()}
        told = {
            (cell, n): Candidate(values=asked[cell][n]) for cell in recipes for n in range(size)
        }
        shares = (1.0,) if tuning.screening is None else tuning.screening.shares
        for share in shares:
            going = [one for one, candidate in told.items() if candidate.status == "completed"]
            trials = {
                (cell, n): _trials(
                    cell, to_rung(recipes[cell], share), asked[cell][n], nuisance.seeds
                )
                for n in range(size)
                for cell in recipes
                if (cell, n) in going
            }
            if not trials:
                break
            # Two candidates may be the same to the digits that count.
            unique = {trial.key: trial for group in trials.values() for trial in group}
            records = measure(plan.of_trials(list(unique.values())), next(numbers))
            told |= {
                (cell, n): _told(asked[cell][n], number, trials[cell, n], records, response, share)
                for cell, n in trials
            }
            if share < 1:
                assert keep is not None and tuning.screening is not None
                told |= _cut(told, list(trials), tuning.screening.keep, keep, less)
        for cell, search in searches.items():
            own = [told[cell, n] for n in range(size)]
            search.tell(own)
            found[cell] += own
    cells = [
        TunedCell(cell=cell, candidates=tuple(them), chosen=best_of(them, less))
        for cell, them in found.items()
    ]
    return Tuned(nuisance=nuisance, response=response, cells=tuple(cells))


def _cut(
    told: Mapping[tuple[Cell, int], Candidate],
    trained: Sequence[tuple[Cell, int]],
    share: float,
    keep: Keep,
    less_is_better: bool,
) -> dict[tuple[Cell, int], Candidate]:
    """Those of each cell that do not go on from the rung that they were trained to."""
    found: dict[tuple[Cell, int], Candidate] = {}
    for cell in dict.fromkeys(cell for cell, _ in trained):
        own = {str(n): told[cell, n] for at, n in trained if at == cell}
        known = {name: one.final for name, one in own.items() if one.final is not None}
        sign = -1 if less_is_better else 1
        on = keep({name: sign * value for name, value in known.items()}, share)
        found |= {(cell, int(n)): replace(own[n], status="cut") for n in known if n not in on}
    return found


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
    share: float,
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
        reached=share,
    )
