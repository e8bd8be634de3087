"""Cells that are listed one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from seedbed.errors import StudyError
from seedbed.study.cell import Cell
from seedbed.study.cell_design import CellDesign
from seedbed.study.centre import checked_labels
from seedbed.study.factor import Factor


@dataclass(frozen=True)
class Listed(CellDesign):
    """The cells that the study names: `Study(listed=({"depth": 3}, {"depth": 12, ...}))`.

    A factor that a cell does not name is at its baseline.
    """

    chosen: tuple[Cell, ...]

    @classmethod
    def parse(cls, given: Any, factors: Sequence[Factor], baseline: Cell) -> Self | None:
        """Raises StudyError for unknown factors and levels, and for a cell that comes twice."""
        if given is None or given == ():
            return None
        if not isinstance(given, Sequence) or isinstance(given, str):
            raise StudyError(
                f"listed is {given!r}",
                why="it is a sequence of cells",
                mend=f'give listed=({{"{factors[0].name}": '
                f"{next(iter(factors[0].levels))!r}}}, ...)",
            )
        cells = [Cell({**baseline, **checked_labels("listed", one, factors)}) for one in given]
        for cell in cells:
            if cells.count(cell) > 1:
                raise StudyError(
                    f"listed has the cell {cell} twice",
                    why="the same recipe gives the same trial, not a repetition of it",
                    mend="keep one of them; more seeds repeat a cell",
                )
        return cls(tuple(cells))

    def cells(self, factors: Sequence[Factor], allowed: Callable[[Cell], bool]) -> list[Cell]:
        return list(self.chosen)

    def __str__(self) -> str:
        return f"{len(self.chosen)} cells, listed one by one"
