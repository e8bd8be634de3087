"""The cells that an effect is made of, at whatever budget."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from seedbed.analyze.stats.trend import Cell


@dataclass(frozen=True)
class Wanted:
    """`level` of `factor` less `base`; with `within` at the first of its `levels`, less the same
    at the second."""

    factor: str
    level: Any
    base: Any
    within: str
    levels: tuple[Any, Any]

    @property
    def signs(self) -> dict[tuple[Any, Any], float]:
        """By level of `factor`, and of `within`."""
        if not self.within:
            return {(self.level, None): 1.0, (self.base, None): -1.0}
        upper, lower = self.levels
        return {
            (self.level, upper): 1.0,
            (self.base, upper): -1.0,
            (self.level, lower): -1.0,
            (self.base, lower): 1.0,
        }


def weights_in(
    asked: Wanted, factors: Mapping[str, Sequence[Any]], there: Set[Cell]
) -> dict[Cell, float]:
    """The weights of cells in an effect: over those combinations of the other factors that all its
    levels have; empty for none. `there` are the cells with a trial."""

    def code(factor: str, level: Any) -> int:
        return list(factors[factor]).index(level)

    free = [name for name in factors if name not in (asked.factor, asked.within)]
    weights: dict[Cell, float] = {}
    num = 0
    for rest in itertools.product(*(range(len(factors[name])) for name in free)):
        cells = {}
        for (own, held), sign in asked.signs.items():
            codes = dict(zip(free, rest, strict=True)) | {asked.factor: code(asked.factor, own)}
            codes |= {asked.within: code(asked.within, held)} if asked.within else {}
            cells[tuple(codes[name] for name in factors)] = sign
        if cells.keys() <= there:
            num += 1
            weights |= cells
    return {cell: weight / num for cell, weight in weights.items()}
