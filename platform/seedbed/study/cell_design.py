"""What a design is: a rule that says which combinations of levels a study trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self

from seedbed.study.cell import Cell
from seedbed.study.factor import Factor


class CellDesign(ABC):
    """One kind of design: a file in `study/designs/`, found by walking the folder.

    `Study(NAME=given)` takes the design of the file `NAME.py`; `given` is what its `parse` reads.
    Without one, a study trains every combination. `str` of a design is what the plan shows.
    """

    @classmethod
    @abstractmethod
    def parse(cls, given: Any, factors: Sequence[Factor]) -> Self | None:
        """The design that the study states; None for one that keeps every combination.

        Raises StudyError, at definition, for what the factors do not allow.
        """

    @abstractmethod
    def cells(self, factors: Sequence[Factor]) -> list[Cell]:
        """The cells to train, each once, in an order that depends on nothing but the factors."""

    @abstractmethod
    def __str__(self) -> str: ...
