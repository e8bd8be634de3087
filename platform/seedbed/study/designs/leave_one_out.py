"""A full recipe, and the same without one of its parts: what each of them is worth in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from seedbed.errors import StudyError
from seedbed.study.cell import Cell
from seedbed.study.centre import Centred, stated_centre
from seedbed.study.factor import Factor


@dataclass(frozen=True)
class LeaveOneOut(Centred):
    """The cell `full`, and for each factor the cell that has its `baseline` level instead.

    `Study(leave_one_out={"text_aug": "on", "queue": "on"})` states the full recipe, which may be
    the best cell of an earlier study: `leave_one_out=best("signals")`. A factor that it does not
    name stays at its baseline and is not left out; levels beside these two are not trained. The
    baseline itself is trained as well, so that the whole can be compared with it.
    """

    order = 1

    full: Cell
    baseline: Cell
    of: str = ""  # the study whose best cell it is

    @classmethod
    def parse(cls, given: Any, factors: Sequence[Factor], baseline: Cell) -> Self | None:
        """Raises StudyError for a full recipe that is the baseline."""
        full = stated_centre("leave_one_out", given, factors, baseline)
        if full is None:
            return None
        if full == baseline:
            raise StudyError(
                f"leave_one_out starts from {full}, which is the baseline",
                why="nothing can be left out of it",
                mend='name the levels of the full recipe: leave_one_out={"'
                f'{factors[0].name}": {list(factors[0].levels)[-1]!r}}}',
            )
        return cls(full, baseline)

    def cells(self, factors: Sequence[Factor], allowed: Callable[[Cell], bool]) -> list[Cell]:
        without = [
            Cell({**self.full, factor.name: self.baseline[factor.name]}) for factor in factors
        ]
        return list(dict.fromkeys([self.full, *without, self.baseline]))

    def used(self, factors: Sequence[Factor]) -> tuple[Factor, ...]:
        """The level of the whole, and the baseline: where they are one, the factor is constant."""
        return tuple(f.only({self.full[f.name], self.baseline[f.name]}) for f in factors)

    def aliases(self, factors: Sequence[Factor]) -> tuple[str, ...]:
        return (
            f"each effect is the one within {self.full}: what two parts do together beyond the sum "
            "is in the difference to the baseline only",
        )

    @property
    def around(self) -> Cell:
        return self.full

    def best_of(self, study: str) -> Self:
        return replace(self, of=study)

    def __str__(self) -> str:
        return f"one factor left out of {self.full}{self.of_words}"
