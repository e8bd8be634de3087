"""What a design is: a rule that says which combinations of levels a study trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

from seedbed.study.cell import Cell
from seedbed.study.factor import Factor


class CellDesign(ABC):
    """One kind of design: a file in `study/designs/`, found by walking the folder.

    `Study(NAME=given)` takes the design of the file `NAME.py`; `given` is what its `parse` reads.
    Without one, a study trains every combination. `str` of a design is what the plan shows.
    `order` is how many factors at most act together in the model that its cells are chosen for: 1
    for main effects alone.
    """

    order: ClassVar[int] = 2

    @classmethod
    @abstractmethod
    def parse(cls, given: Any, factors: Sequence[Factor], baseline: Cell) -> Self | None:
        """The design that the study states; None for one that keeps every combination.

        `baseline` is the cell of the levels that contrasts are taken against. Raises StudyError,
        at definition, for what the factors do not allow.
        """

    @abstractmethod
    def cells(self, factors: Sequence[Factor], allowed: Callable[[Cell], bool]) -> list[Cell]:
        """The cells to train, each once, in an order that depends on nothing but the factors.

        A design that can choose takes none that is not `allowed`; a study refuses the others,
        whose effects could no longer be told apart.
        """

    def used(self, factors: Sequence[Factor]) -> tuple[Factor, ...]:
        """The factors with those of their levels that it trains: all, unless it says otherwise."""
        return tuple(factors)

    def aliases(self, factors: Sequence[Factor]) -> tuple[str, ...]:
        """What the cells cannot tell apart, in lines for the plan; none where nothing is mixed."""
        return ()

    @abstractmethod
    def __str__(self) -> str: ...
