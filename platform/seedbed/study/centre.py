"""The cell that a design is drawn around, as a study states it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from seedbed.errors import StudyError, nearest
from seedbed.study.cell import Cell
from seedbed.study.cell_design import CellDesign
from seedbed.study.factor import Factor
from seedbed.study.label import label_text, same_label


class Centred(CellDesign):
    """A design that is drawn around a cell: of another study, the best one, where `of` names it."""

    of: str

    @property
    @abstractmethod
    def around(self) -> Cell:
        """The cell."""

    @abstractmethod
    def best_of(self, study: str) -> CellDesign:
        """The same design, which says of its cell that it is the best one of `study`."""

    @property
    def of_words(self) -> str:
        return f", the best of {self.of}" if self.of else ""


def stated_centre(
    design: str, given: Any, factors: Sequence[Factor], baseline: Cell
) -> Cell | None:
    """The baseline with the levels that `given` names; the baseline for True, None for False.

    Raises StudyError for a factor or a level that the study does not have.
    """
    if given is None or given is False:
        return None
    if given is True:
        return baseline
    return Cell({**baseline, **checked_labels(design, given, factors)})


def checked_labels(design: str, given: Any, factors: Sequence[Factor]) -> dict[str, Any]:
    """Labels by factor, each one of the factor's own. Raises StudyError."""
    if not isinstance(given, Mapping):
        first = factors[0]
        raise StudyError(
            f"{design} is {given!r}",
            why="it names levels by their factors",
            mend=f'give {{"{first.name}": {next(iter(first.levels))!r}}}',
        )
    by_name = {factor.name: factor for factor in factors}
    labels: dict[str, Any] = {}
    for name, said in given.items():
        if name not in by_name:
            raise StudyError(
                f"{design} names the factor '{name}'",
                why="the study has no such factor",
                mend=nearest(str(name), by_name),
            )
        levels = by_name[name].levels
        found = [label for label in levels if same_label(label, said)]
        if not found:
            raise StudyError(
                f"{design} names the level {name}={label_text(said)}",
                why="the factor has no such level",
                mend=nearest(said, levels),
            )
        labels[name] = found[0]
    return labels
