"""Values that others published for a study's cells, to be set beside its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from seedbed.checks import number
from seedbed.errors import StudyError, nearest
from seedbed.evaluate.named import NamedTest, test_called
from seedbed.recipe.scale import scale_named
from seedbed.study.cell import Cell
from seedbed.study.factor import Factor


@dataclass(frozen=True, kw_only=True)
class Published:
    """Published fractions (0.328 for 32.8 %) of one response, by cell.

    `values` maps labels to fractions in the order of `factors`: `values={("clip", "vit"): 0.328},
    factors=("supervision", "model")`; without `factors` a key is a `Cell`, or (("supervision",
    "clip"), ("model", "vit")). `source` says where they stand, `test_set` what they were measured
    on, and `scale` names the scale at which the study is the same experiment: at others the report
    does not set them beside its own.
    """

    source: str
    response: str
    values: Mapping[Any, float]
    factors: Sequence[str] = ()
    scale: str = "paper"
    test_set: str = ""

    def __post_init__(self) -> None:
        self.cells  # noqa: B018  a key that is not a cell is refused here, where it is written

    @cached_property
    def cells(self) -> tuple[tuple[Cell, float], ...]:
        """Each cell with its value. Raises StudyError for a key that is none."""
        return tuple((_cell(key, tuple(self.factors)), v) for key, v in self.values.items())

    def on(self, tests: Iterable[NamedTest]) -> Published:
        """Beside the same measure where trials are scored on `tests`, if `test_set` is among
        them."""
        mine = test_called(self.test_set, tests)
        return self if mine is None else replace(self, response=mine.primary)

    def check(self, factors: Sequence[Factor], responses: Sequence[str]) -> None:
        """Raises StudyError where a study of these factors and responses has no such cell."""
        scale_named(self.scale)
        if self.response not in responses:
            raise StudyError(
                f"Published: the study has no response '{self.response}'",
                why="there would be nothing of its own to set beside the published values",
                mend=nearest(self.response, responses),
            )
        if not self.values:
            raise StudyError(
                f"Published: '{self.source}' has no values",
                why="there is nothing to set beside the study's own",
                mend="give at least one cell, or leave `published` out",
            )
        seen: set[Cell] = set()
        for cell, value in self.cells:
            _check_cell(cell, factors)
            _check_value(cell, value)
            if cell in seen:
                raise StudyError(
                    f"Published: the cell {_shown(cell)} is given twice",
                    why="one of its values would be lost",
                    mend="give each cell once",
                )
            seen.add(cell)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Published:
        """What `to_json` wrote."""
        given = {name: value for name, value in values.items() if name != "cells"}
        return cls(values={Cell(one["cell"]): one["value"] for one in values["cells"]}, **given)

    def to_json(self) -> dict[str, Any]:
        """As it stands in the design."""
        return {
            "source": self.source,
            "response": self.response,
            "scale": self.scale,
            "test_set": self.test_set,
            "cells": [{"cell": cell.to_json(), "value": value} for cell, value in self.cells],
        }


def _cell(key: Any, factors: tuple[str, ...]) -> Cell:
    """A key of `values` as pairs of factor and label."""
    if isinstance(key, Cell):
        return key
    if not factors:
        pairs = key if isinstance(key, tuple) else ()
        if not pairs or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
            raise StudyError(
                f"Published: {key!r} is no cell",
                why="without `factors` a cell is pairs of factor and label",
                mend='give factors=("supervision", "model"), or (("supervision", "clip"), ...)',
            )
        names = [name for name, _ in pairs]
        for name in names:
            if names.count(name) > 1:
                raise StudyError(
                    f"Published: the cell {key!r} names '{name}' {names.count(name)} times",
                    why="a published value belongs to one cell of the study",
                    mend="give one level of each factor",
                )
        return Cell(pairs)
    labels = key if isinstance(key, tuple) else (key,)
    if len(labels) != len(factors):
        raise StudyError(
            f"Published: the cell {key!r} has {len(labels)} labels",
            why=f"`factors` names {len(factors)}: {', '.join(factors)}",
            mend="give one label for each factor, in their order",
        )
    return Cell(zip(factors, labels, strict=True))


def _check_cell(cell: Cell, factors: Sequence[Factor]) -> None:
    by_name = {factor.name: factor for factor in factors}
    for name, label in cell.items():
        if name not in by_name:
            raise StudyError(
                f"Published: the study has no factor '{name}'",
                why=f"the published cell {_shown(cell)} could not be found in it",
                mend=nearest(name, by_name),
            )
        if label not in by_name[name].levels:
            raise StudyError(
                f"Published: Factor '{name}' has no level '{label}'",
                why=f"the published cell {_shown(cell)} could not be found in the study",
                mend=nearest(label, by_name[name].levels),
            )
    for name in by_name:
        if name not in cell:
            raise StudyError(
                f"Published: the cell {_shown(cell)} names '{name}' 0 times",
                why="a published value belongs to one cell of the study",
                mend=f"give one level of each factor: {', '.join(by_name)}",
            )


def _check_value(cell: Cell, value: object) -> None:
    number(
        f"Published: the value at {_shown(cell)}",
        value,
        least=0,
        most=1,
        why="it is a fraction from 0 to 1",
        mend="give 0.328 for 32.8 %",
    )


def _shown(cell: Cell) -> str:
    return ", ".join(f"{name}={label}" for name, label in cell.items())
