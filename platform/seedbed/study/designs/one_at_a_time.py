"""One factor at a time around one cell: the fewest trials, and no interaction is seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from seedbed.study.cell import Cell
from seedbed.study.cell_design import CellDesign
from seedbed.study.centre import stated_centre
from seedbed.study.factor import Factor


@dataclass(frozen=True)
class OneAtATime(CellDesign):
    """The cell `centre`, and each cell that differs from it in one factor.

    `Study(one_at_a_time=True)` takes the baselines as the centre, and
    `one_at_a_time={"depth": 3}` another level of some of them.
    """

    order = 1

    centre: Cell

    @classmethod
    def parse(cls, given: Any, factors: Sequence[Factor], baseline: Cell) -> Self | None:
        centre = stated_centre("one_at_a_time", given, factors, baseline)
        return None if centre is None else cls(centre)

    def cells(self, factors: Sequence[Factor], allowed: Callable[[Cell], bool]) -> list[Cell]:
        others = [
            Cell({**self.centre, factor.name: label})
            for factor in factors
            for label in factor.levels
        ]
        return list(dict.fromkeys([self.centre, *others]))

    def aliases(self, factors: Sequence[Factor]) -> tuple[str, ...]:
        return (
            f"each effect is the one at {self.centre}: no two factors change together, so that "
            "nothing is learnt of interactions",
        )

    def __str__(self) -> str:
        return f"one factor at a time around {self.centre}"
