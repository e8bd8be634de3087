"""How a linear model weighs cells' means in what is compared: in closed form, or by its columns.

A model is hierarchical: the mean, every factor, and every interaction of up to `order` of them. A
marginal mean is over the cells that have some levels, the other factors' levels counting equally.
Where every combination is a cell, it is in the model if it names no more than `order` factors, and
its best estimate is then the plain mean of its cells. Where all factors may act together
(`order` is their number) that holds for whatever cells there are: each estimates itself.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from seedbed.plan.planned import PlannedFactor
from seedbed.study.cell import Cell
from seedbed.study.label import Label, label_text

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Levels = Mapping[str, Label]
_INESTIMABLE, _CANCELLED = 1e-6, 1e-12
_MOST_COMBINATIONS = 1_000_000  # that are numbered: 8 MB


@dataclass(frozen=True)
class Weights:
    """`values` on the means of the cells at the places `cells` [n], and 0 on all others."""

    cells: Ints
    values: Floats

    def over(self, divisor: float) -> Weights:
        return Weights(self.cells, self.values / divisor)

    def total(self, means: Floats) -> float:
        """Of `means` [num_cells]."""
        return float(self.values @ means[self.cells])

    def variance(self, variances: Floats | None = None) -> float:
        """Of the total, where the cells' means have `variances` [num_cells], or 1 each."""
        squares = self.values**2
        return float(squares.sum() if variances is None else squares @ variances[self.cells])


class Crossed:
    """The closed form: linear in the cells that are compared."""

    def __init__(self, factors: Mapping[str, PlannedFactor], places: Ints, order: int) -> None:
        """`places` [levels of each factor in turn]: the number of each combination's cell, or -1.
        See `of`."""
        self._factors, self._places, self._order = factors, places.ravel(), order
        self._numbers = np.arange(places.size).reshape(places.shape)
        self._levels = {name: _numbered(factor) for name, factor in factors.items()}

    @classmethod
    def of(
        cls, factors: Mapping[str, PlannedFactor], cells: Sequence[Cell], order: int
    ) -> Self | None:
        """None where the closed form does not hold for `cells`, each of which is given once."""
        shape = [len(factor.levels) for factor in factors.values()]
        every = math.prod(shape)
        if every > _MOST_COMBINATIONS or (len(cells) < every and order < len(factors)):
            return None
        levels = {name: _numbered(factor) for name, factor in factors.items()}
        places = np.full(shape, -1)
        for place, cell in enumerate(cells):
            places[tuple(own[label_text(cell[name])] for name, own in levels.items())] = place
        return cls(factors, places, order)

    @cached_property
    def rank(self) -> int:
        """How many effects the cells tell apart, the mean among them."""
        if self._order >= len(self._factors):
            return int((self._places >= 0).sum())
        others = [len(factor.levels) - 1 for factor in self._factors.values()]
        return 1 + sum(
            math.prod(term)
            for size in range(1, self._order + 1)
            for term in itertools.combinations(others, size)
        )

    def holds(self, compared: Iterable[Levels]) -> bool:
        """Whether marginal means of these levels are in the model."""
        return all(len(levels) <= self._order for levels in compared)

    def weights(self, plus: Sequence[Levels], less: Sequence[Levels]) -> Weights | None:
        """Of the sum of marginal means `plus` less those of `less`; None if a cell is missing."""
        parts = [
            (self._combinations(levels), sign)
            for sign, own in ((1.0, plus), (-1.0, less))
            for levels in own
        ]
        every, place = np.unique(np.concatenate([own for own, _ in parts]), return_inverse=True)
        each = np.concatenate([np.full(len(own), sign / len(own)) for own, sign in parts])
        values: Floats = np.bincount(place, each).astype(np.float64)
        kept = np.abs(values) > _CANCELLED
        cells = self._places[every[kept]]
        return None if (cells < 0).any() else Weights(cells, values[kept])

    def _combinations(self, levels: Levels) -> Ints:
        """The numbers of those that have `levels`."""
        at = tuple(
            own[label_text(levels[name])] if name in levels else slice(None)
            for name, own in self._levels.items()
        )
        return np.asarray(self._numbers[at]).ravel()


class Columns:
    """The general way: sum-coded columns, and what of them the cells determine."""

    def __init__(
        self,
        factors: Mapping[str, PlannedFactor],
        cells: Sequence[Cell],
        order: int,
        halves: Sequence[int] = (),
    ) -> None:
        """`halves` [num_cells]: blocks within each seed, whose difference is no effect."""
        self._terms = [
            term
            for size in range(1, min(order, len(factors)) + 1)
            for term in itertools.combinations(factors, size)
        ]
        self._codings = {name: _coding(factor) for name, factor in factors.items()}
        self._model = self._rows(cells)
        if len(set(halves)) > 1:
            number = np.array(halves)
            self._model[:, -1] = np.where(number == number[0], 1.0, -1.0)
        squares, right = np.linalg.eigh(self._model.T @ self._model)
        kept = squares > 1e-11 * squares[-1]
        self._right, self._squares = right[:, kept], squares[kept]

    @property
    def rank(self) -> int:
        """How many effects the cells tell apart, the mean and the halves' among them."""
        return len(self._squares)

    def weights(self, plus: Sequence[Levels], less: Sequence[Levels]) -> Weights | None:
        """Of the sum of marginal means `plus` less those of `less`; None if not determined."""
        wanted = self._rows(plus).sum(axis=0) - self._rows(less).sum(axis=0)
        along = self._right.T @ wanted
        if np.linalg.norm(wanted - self._right @ along) > _INESTIMABLE * np.linalg.norm(wanted):
            return None
        found: Floats = self._model @ (self._right @ (along / self._squares))
        return Weights(np.arange(len(found)), found)

    def hat(self) -> Floats:
        """The projection onto the model [num_cells, num_cells]."""
        basis = self._model @ self._right
        projection: Floats = (basis / self._squares) @ basis.T
        return projection

    def _rows(self, cells: Sequence[Levels]) -> Floats:
        """The model's columns for cells, 1 for the mean first, 0 for the halves last. A factor that
        a cell does not name counts its levels equally: its columns are 0."""
        coded = {name: self._coded(name, cells) for name in self._codings}
        parts = [np.ones((len(cells), 1))]
        for term in self._terms:
            columns = np.ones((len(cells), 1))
            for name in term:
                columns = (columns[:, :, None] * coded[name][:, None, :]).reshape(len(cells), -1)
            parts.append(columns)
        return np.hstack([*parts, np.zeros((len(cells), 1))])

    def _coded(self, name: str, cells: Sequence[Levels]) -> Floats:
        coding = self._codings[name]
        none = np.zeros(len(coding) - 1)
        return np.array([coding[label_text(c[name])] if name in c else none for c in cells])


def _numbered(factor: PlannedFactor) -> dict[str, int]:
    return {label_text(level): number for number, level in enumerate(factor.levels)}


def _coding(factor: PlannedFactor) -> dict[str, Floats]:
    """The sum-coded row of each level, by its text: the last is less all others."""
    levels = [label_text(level) for level in factor.levels]
    num = len(levels) - 1
    return dict(zip(levels, np.vstack([np.eye(num), -np.ones((1, num))]), strict=True))
