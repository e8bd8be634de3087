"""One factor at a time around one cell: the fewest trials, and no interaction is seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from seedbed.study.cell import Cell
from seedbed.study.centre import Centred, stated_centre
from seedbed.study.factor import Factor


@dataclass(frozen=True)
class OneAtATime(Centred):
    """The cell `centre`, and each cell that differs from it in one factor.

    `Study(one_at_a_time=True)` takes the baselines as the centre, and
    `one_at_a_time={"depth": 3}` another level of some of them; `one_at_a_time=best("depths")` the
    best cell of another study.
    """

    order = 1

    centre: Cell
    of: str = ""  # the study whose best cell it is

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

    @property
    def around(self) -> Cell:
        return self.centre

    def best_of(self, study: str) -> Self:
        return replace(self, of=study)

    def __str__(self) -> str:
        return f"one factor at a time around {self.centre}{self.of_words}"
