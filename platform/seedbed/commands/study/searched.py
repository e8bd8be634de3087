"""How far a search has come: its candidates that need no training, for what a plan says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from seedbed.commands.study.tune import SoFar
from seedbed.errors import DataError
from seedbed.plan.cost import estimate
from seedbed.plan.plan import Plan
from seedbed.study.screening import to_rung
from seedbed.study.trial import Trial

if TYPE_CHECKING:
    from seedbed.commands.study.options import Options
    from seedbed.storage.folder import Folder
    from seedbed.study.cell import Cell
    from seedbed.study.record import TrialRecord


def searched_so_far(options: Options) -> SoFar:
    """Of a search that has not ended, by the records that the results storage holds.

    The search is asked again, and told what it would be: of a round in which a cell lacks a record
    nothing later is known. Nothing of a rehearsal, nor of a storage that cannot be read.
    """
    from seedbed.storage.folder import Folder
    from seedbed.storage.retry import retrying_for

    chosen = options.plan
    if not chosen.is_untuned or options.surface is not None:
        return SoFar()
    try:
        with retrying_for(0):
            top = Folder(options.storage)
            store = top.sub(*options.folder)
            return _asked_again(chosen, top, store)
    except DataError:
        return SoFar()


def _asked_again(chosen: Plan, top: Folder, store: Folder) -> SoFar:
    from seedbed.run.driver.failures import given_up

    left_out = given_up(store, chosen.variation).keys()
    so_far = SoFar()
    unknown: set[Cell] = set()
    # Asking costs a search for each cell, and of most cells nothing may be there.
    begun = _with_record(_firsts(chosen), top, store) | left_out
    cells = {trial.cell for trial in _firsts(chosen) if trial.key in begun}
    if not cells:
        return so_far
    chosen = chosen.of_trials([trial for trial in chosen.trials if trial.cell in cells])

    from seedbed.run.driver.asha import kept
    from seedbed.tuning.rounds import tune_cells

    def measure(wanted: Plan, number: int) -> Mapping[str, TrialRecord]:
        asked = [t for t in wanted.trials if t.cell not in unknown and t.key not in left_out]
        records = _records(asked, top, store, so_far)
        unknown.update(trial.cell for trial in asked if trial.key not in records)
        return records

    tune_cells(chosen, measure, kept)
    return so_far


def _firsts(chosen: Plan) -> list[Trial]:
    """The first training of each cell's search: of the recipe's own values."""
    nuisance = chosen.nuisance
    assert nuisance is not None
    screening = nuisance.tuning.screening
    share = 1.0 if screening is None else screening.shares[0]
    firsts = []
    for cell, recipe in {trial.cell: trial.recipe for trial in chosen.trials}.items():
        own = nuisance.own(recipe)
        values = {one.at: one.rounded(own[one.at]) for one in nuisance.space}
        first = Trial(cell, to_rung(recipe, share).patched(values), searched=tuple(values))
        firsts.append(first.reseeded(nuisance.seeds[0]))
    return firsts


def _with_record(trials: Sequence[Trial], top: Folder, store: Folder) -> set[str]:
    """The keys of those that this study or another of the storage has begun."""
    from seedbed.track.finished import finished_elsewhere

    begun = set(store.names("trials"))
    found = {trial.key for trial in trials if trial.key in begun}
    left = [trial.key for trial in trials if trial.key not in found]
    return found | finished_elsewhere(top, left, store.uri.rpartition("/")[2]).keys()


def _records(
    asked: Sequence[Trial], top: Folder, store: Folder, so_far: SoFar
) -> dict[str, TrialRecord]:
    """What the storage has of these candidates, which are counted."""
    from seedbed.run.driver.outcome import read_outcome
    from seedbed.run.driver.reuse import ENDED
    from seedbed.track.finished import finished_elsewhere

    found = read_outcome(store, asked, None).records
    so_far.own += len(found)
    left = {trial.key: trial for trial in asked if trial.key not in found}
    where = finished_elsewhere(top, left, store.uri.rpartition("/")[2])
    for study in dict.fromkeys(where.values()):
        theirs = [left[key] for key, name in where.items() if name == study]
        records = read_outcome(top.sub(study), theirs, None).records
        taken = {
            trial.key: records[trial.key]
            for trial in theirs
            if trial.key in records
            and records[trial.key].status in ENDED
            and records[trial.key].role == trial.role
        }
        so_far.elsewhere[study] += len(taken)
        found |= taken
    so_far.reference_hours += sum(
        estimate(trial.recipe).reference_hours for trial in asked if trial.key in found
    )
    return found
