"""Values that others published for a study's cells, to be set beside its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seedbed.checks import number
from seedbed.errors import StudyError, nearest
from seedbed.recipe.scale import scale_named
from seedbed.study.factor import Factor
from seedbed.study.label import Label, label_text

Cell = tuple[tuple[str, Label], ...]


@dataclass(frozen=True, init=False)
class Published:
    """Published fractions (0.328 for 32.8 %) of one response, by cell.

    `values` maps labels to fractions in the order of `factors`: `values={("clip", "vit"): 0.328},
    factors=("supervision", "model")`; without `factors` a cell is (("supervision", "clip"),
    ("model", "vit")). `source` says where they stand, `test_set` what they were measured on, and
    `scale` names the scale at which the study is the same experiment: at others the report does
    not set them beside its own.
    """

    source: str
    response: str
    scale: str
    test_set: str
    values: tuple[tuple[Cell, float], ...]

    def __init__(
        self,
        *,
        source: str,
        response: str,
        values: Mapping[Any, float],
        factors: Sequence[str] = (),
        scale: str = "paper",
        test_set: str = "",
    ) -> None:
        object.__setattr__(self, "source", source)
        object.__setattr__(self, "response", response)
        object.__setattr__(self, "scale", scale)
        object.__setattr__(self, "test_set", test_set)
        cells = [(_cell(key, tuple(factors)), value) for key, value in values.items()]
        object.__setattr__(self, "values", tuple(cells))

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
        seen: set[frozenset[tuple[str, str]]] = set()
        for cell, value in self.values:
            _check_cell(cell, factors)
            _check_value(cell, value)
            as_text = frozenset((name, label_text(label)) for name, label in cell)
            if as_text in seen:
                raise StudyError(
                    f"Published: the cell {_shown(cell)} is given twice",
                    why="one of its values would be lost",
                    mend="give each cell once",
                )
            seen.add(as_text)

    def to_json(self) -> dict[str, Any]:
        """As it stands in the design."""
        return {
            "source": self.source,
            "response": self.response,
            "scale": self.scale,
            "test_set": self.test_set,
            "cells": [{"cell": dict(cell), "value": value} for cell, value in self.values],
        }


def _cell(key: Any, factors: tuple[str, ...]) -> Cell:
    """A key of `values` as pairs of factor and label."""
    if not factors:
        pairs = key if isinstance(key, tuple) else ()
        if not pairs or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
            raise StudyError(
                f"Published: {key!r} is no cell",
                why="without `factors` a cell is pairs of factor and label",
                mend='give factors=("supervision", "model"), or (("supervision", "clip"), ...)',
            )
        return tuple((str(name), label) for name, label in pairs)
    labels = key if isinstance(key, tuple) else (key,)
    if len(labels) != len(factors):
        raise StudyError(
            f"Published: the cell {key!r} has {len(labels)} labels",
            why=f"`factors` names {len(factors)}: {', '.join(factors)}",
            mend="give one label for each factor, in their order",
        )
    return tuple(zip(factors, labels, strict=True))


def _check_cell(cell: Cell, factors: Sequence[Factor]) -> None:
    by_name = {factor.name: factor for factor in factors}
    for name, label in cell:
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
    named = [name for name, _ in cell]
    for name in by_name:
        if named.count(name) != 1:
            raise StudyError(
                f"Published: the cell {_shown(cell)} names '{name}' {named.count(name)} times",
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
    return ", ".join(f"{name}={label}" for name, label in cell)
