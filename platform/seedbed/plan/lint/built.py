"""Cells whose towers and terms do not go together: refused, with the rule that leaves them out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seedbed.errors import StudyError
from seedbed.plan.cost import Cost, counted, estimate
from seedbed.plan.lint.which import leaving_out, levels_in
from seedbed.study.factor import Factor
from seedbed.study.trial import Trial


def costs_of(cells: Sequence[Trial], factors: Sequence[Factor]) -> list[Cost]:
    """The cost of each cell, for which its parts are built without their weights.

    Raises StudyError where they cannot be, as for a term that reads tokens of a tower that gives
    none; it names the cells, and the constraint that leaves them out.
    """
    known: dict[tuple[Any, ...], Cost | StudyError] = {}
    costs: list[Cost] = []
    refused: dict[int, StudyError] = {}
    for index, cell in enumerate(cells):
        same = counted(cell.recipe)
        if same not in known:
            try:
                known[same] = estimate(cell.recipe)
            except StudyError as error:
                known[same] = error
        found = known[same]
        if isinstance(found, StudyError):
            refused[index] = found
        else:
            costs.append(found)
    if refused:
        raise _refusal(refused, cells, factors)
    return costs


def _refusal(
    refused: dict[int, StudyError], cells: Sequence[Trial], factors: Sequence[Factor]
) -> StudyError:
    """Of the cells with the first error, the others being told of once these are mended."""
    first = next(iter(refused.values()))
    chosen = [index for index, error in refused.items() if error.what == first.what]
    levels = levels_in(chosen, cells, factors)
    others = f" and {len(chosen) - 1} others" if len(chosen) > 1 else ""
    mend = f"{first.mend}, or {leaving_out(levels)}" if levels else first.mend
    return StudyError(
        f"the cell {cells[chosen[0]].cell}{others}: {first.what}", why=first.why, mend=mend
    )
