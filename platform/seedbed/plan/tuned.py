"""What a search has found: every candidate of every cell, and the values that were chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seedbed.plan.design_data import known_fields
from seedbed.study.cell import Cell
from seedbed.study.nuisance import Nuisance


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Values that were tried in a cell, and the mean `response` over the search's seeds.

    `status` is completed, cut, diverged or failed; only the first two have a response. One that was
    cut has that of the rung where it was: `reached` is that share of the budget. Only those of the
    whole budget are chosen among.
    """

    values: Mapping[str, float]
    round: int = 1
    status: str = "completed"
    response: float | None = None
    keys: tuple[str, ...] = ()
    reached: float = 1.0

    @property
    def final(self) -> float | None:
        """The response at the whole budget."""
        return self.response if self.status == "completed" else None

    def to_json(self) -> dict[str, Any]:
        return vars(self) | {"values": dict(self.values), "keys": list(self.keys)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Candidate:
        return cls(**known_fields(cls, values) | {"keys": tuple(values.get("keys", ()))})


@dataclass(frozen=True, kw_only=True)
class TunedCell:
    """A cell's candidates in the order in which they were asked for, and the best one's number.

    `chosen` is None where none completed: the cell keeps the recipe's own values, and the study
    goes on by force alone.
    """

    cell: Cell
    candidates: tuple[Candidate, ...]
    chosen: int | None = None

    @property
    def values(self) -> Mapping[str, float]:
        return {} if self.chosen is None else self.candidates[self.chosen].values

    def best_so_far(self, less_is_better: bool) -> list[float | None]:
        """The best response among the first 1, 2, … candidates; None before one completed."""
        best: list[float | None] = []
        for candidate in self.candidates:
            known = [v for v in (candidate.final, *best[-1:]) if v is not None]
            best.append((min if less_is_better else max)(known) if known else None)
        return best

    def to_json(self) -> dict[str, Any]:
        return {
            "cell": self.cell.to_json(),
            "candidates": [candidate.to_json() for candidate in self.candidates],
            "chosen": self.chosen,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TunedCell:
        candidates = tuple(map(Candidate.from_json, values["candidates"]))
        return cls(cell=Cell(values["cell"]), candidates=candidates, chosen=values["chosen"])


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """A study's nuisance fields as they were tuned: the space, the budget, and what was found."""

    nuisance: Nuisance
    response: str
    cells: tuple[TunedCell, ...] = field(default=())

    @property
    def values(self) -> dict[Cell, Mapping[str, float]]:
        """The chosen values of each cell."""
        return {one.cell: one.values for one in self.cells}

    def to_json(self) -> dict[str, Any]:
        return {
            "nuisance": self.nuisance.to_json(),
            "response": self.response,
            "cells": [one.to_json() for one in self.cells],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Tuned:
        return cls(
            nuisance=Nuisance.from_json(values["nuisance"]),
            response=values["response"],
            cells=tuple(map(TunedCell.from_json, values["cells"])),
        )


def best_of(candidates: Sequence[Candidate], less_is_better: bool) -> int | None:
    """The number of the best candidate, the first of equals; None where none completed."""
    known = [(one.final, n) for n, one in enumerate(candidates) if one.final is not None]
    if not known:
        return None
    return min(known, key=lambda one: (one[0] if less_is_better else -one[0], one[1]))[1]
