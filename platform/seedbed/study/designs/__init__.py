"""Designs, one a file, found by walking this folder: the file's name is the Study's argument."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from seedbed.errors import StudyError
from seedbed.found import classes_in
from seedbed.study.best import AroundBest, Best
from seedbed.study.cell import Cell
from seedbed.study.cell_design import CellDesign
from seedbed.study.centre import Centred
from seedbed.study.factor import Factor


@functools.cache
def all_designs() -> dict[str, type[CellDesign]]:
    """Every design of this folder, by the name of its file."""
    return dict(classes_in(__name__, CellDesign))


def stated_design(
    given: Mapping[str, Any], factors: Sequence[Factor], baseline: Cell
) -> CellDesign | None:
    """The design that a study's arguments state, by its name; None where all cells are trained.

    Raises StudyError for two designs.
    """
    stated = [
        (name, design)
        for name, value in given.items()
        if (design := _parsed(name, value, factors, baseline)) is not None
    ]
    if len(stated) > 1:
        names = " and ".join(name for name, _ in stated)
        raise StudyError(
            f"the study states the designs {names}",
            why="each says by itself which combinations of levels are trained",
            mend="keep one of them",
        )
    return stated[0][1] if stated else None


def _parsed(name: str, value: Any, factors: Sequence[Factor], baseline: Cell) -> CellDesign | None:
    kind = all_designs()[name]
    if not isinstance(value, Best):
        return kind.parse(value, factors, baseline)
    if not issubclass(kind, Centred):
        around = [other for other, design in all_designs().items() if issubclass(design, Centred)]
        raise StudyError(
            f"{name} is the best cell of '{value.study}'",
            why="it is drawn around no cell",
            mend=f"give best(...) to {' or '.join(around)}",
        )
    return AroundBest(name, kind, value.study, baseline)
