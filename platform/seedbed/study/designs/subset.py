"""A balanced part of a mixed-level factorial (Surowiec et al., Technometrics 59, 2017)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from seedbed.checks import is_integer
from seedbed.errors import StudyError
from seedbed.study.cell import Cell
from seedbed.study.cell_design import CellDesign
from seedbed.study.factor import Factor


@dataclass(frozen=True)
class Subset(CellDesign):
    """`Study(subset=3)`: about a third of all cells of factors with any numbers of levels.

    Levels stay balanced as far as their numbers allow. The generator is pydoe's generalised subset
    design.
    """

    order = 1

    part: int

    @classmethod
    def parse(cls, given: Any, factors: Sequence[Factor], baseline: Cell) -> Self | None:
        """Raises StudyError for a part that leaves some level out, or nothing out."""
        if given is None:
            return None
        most = max(len(factor.levels) for factor in factors)
        if not is_integer(given) or given < 2 or len(factors) < 2:
            raise StudyError(
                f"subset={given!r} of {len(factors)} factors",
                why="it keeps one cell of so many, of two factors or more",
                mend=f"give subset=2 to {most}",
            )
        if given > most:
            raise StudyError(
                f"subset={given} keeps one cell of {given}",
                why=f"no factor has more than {most} levels, so that some would be left out",
                mend=f"give subset={most}, or state optimal=N",
            )
        return cls(int(given))

    def cells(self, factors: Sequence[Factor], allowed: Callable[[Cell], bool]) -> list[Cell]:
        import pydoe

        labels = [list(factor.levels) for factor in factors]
        rows = pydoe.gsd([len(own) for own in labels], self.part)
        return [
            Cell((factor.name, labels[n][int(row[n])]) for n, factor in enumerate(factors))
            for row in sorted(map(tuple, rows))
        ]

    def aliases(self, factors: Sequence[Factor]) -> tuple[str, ...]:
        cells = self.cells(factors, lambda cell: True)
        every = math.prod(len(factor.levels) for factor in factors)
        return (
            f"{len(cells)} of {every} cells: interactions are mixed with main effects where more "
            "of them matter than there are cells",
        )

    def __str__(self) -> str:
        return f"generalised subset, one cell of {self.part}"
