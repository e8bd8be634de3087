"""The linear model behind every estimate: sum coding, rank-aware projections, estimability.

A term is a tuple of factor names. Sums of squares come from projecting onto what a term adds to the
terms before it (pivoted QR), so empty cells and aliases cost degrees of freedom, but never give
wrong sums.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import cached_property

import numpy as np
from scipy import linalg, stats

from seedbed.analyze.stats.cell_variances import CellVariances
from seedbed.analyze.stats.comparison import Estimate
from seedbed.analyze.stats.error_term import judged_error
from seedbed.analyze.stats.random_seeds import RandomSeeds
from seedbed.analyze.stats.space import RANK_TOLERANCE, Space
from seedbed.analyze.stats.standard_errors import Spread, UnequalVariances
from seedbed.analyze.trials.observations import (
    AnalysisError,
    Floats,
    Ints,
    Observations,
    label_text,
)
from seedbed.errors import nearest

Term = tuple[str, ...]
ERRORS = ("pooled", "cells", "unequal", "residual")

_CONFIDENCE = 0.95


def model_terms(seen: Observations, order: int) -> list[Term]:
    """Block first, then main effects, then interactions up to `order` factors."""
    sizes = range(1, min(order, len(seen.factors)) + 1)
    terms = [term for size in sizes for term in itertools.combinations(seen.factors, size)]
    return [(seen.block,), *terms] if seen.block else terms


def term_columns(seen: Observations, term: Term, codes: Mapping[str, Ints]) -> Floats:
    """Sum-coded columns [n, product of (levels - 1)] of one term for rows of codes."""
    num_rows = len(codes[term[0]])
    columns = np.ones((num_rows, 1))
    for name in term:
        num_levels = len(seen.levels[name])
        coding = np.vstack([np.eye(num_levels - 1), -np.ones((1, num_levels - 1))])
        factor = coding[codes[name]]
        columns = (columns[:, :, None] * factor[:, None, :]).reshape(num_rows, -1)
    return columns


def full_df(seen: Observations, term: Term) -> int:
    """The degrees of freedom a term has when every cell is filled."""
    return int(np.prod([len(seen.levels[name]) - 1 for name in term]))


class Fit:
    """A least-squares fit that knows which functions of its parameters the trials determine.

    `error` says what the intervals use: "pooled" is one residual variance for all trials, "cells"
    lets every cell have its own (see `cell_variances`), "unequal" allows any correlation within a
    block, so that each block is one value (see `standard_errors`); "residual" pools what the model
    leaves out, also where no cell is repeated.
    """

    def __init__(self, seen: Observations, order: int, error: str = "pooled") -> None:
        if error not in ERRORS:
            raise AnalysisError(f"error is {error!r}.", mend=nearest(error, ERRORS))
        self.seen = seen
        self.kind, self.order = error, order
        self.terms = model_terms(seen, order)
        design = self._rows(seen.codes)
        # Coded columns hold small whole numbers, so their products are exact and well conditioned:
        # for many trials this is ten times faster than a QR of the columns themselves.
        squares, right = linalg.eigh(design.T @ design)
        kept = squares > RANK_TOLERANCE * squares[-1]
        self._right: Floats = right[:, kept].T
        self._sizes: Floats = np.sqrt(squares[kept])
        self._design = design
        self._to_basis: Floats = self._right.T / self._sizes
        self._along: Floats = self._to_basis.T @ (design.T @ seen.y)
        rest = self.residuals
        num, sum_sq = len(rest) - len(self._sizes), float(rest @ rest)
        self.error = judged_error(seen, sum_sq, num, any_residual=error == "residual")

    @cached_property
    def basis(self) -> Floats:
        """An orthonormal basis of the whole model [n, rank]."""
        basis: Floats = self._design @ self._to_basis
        return basis

    def _loadings(self, scaled: Floats) -> Floats:
        """`basis` @ `scaled` [n]: of 10,000 trials in 400 cells hardly more than of the cells."""
        of_cell, of_block = (part @ scaled for part in self._parts)
        found: Floats = of_cell[self.seen.cell_numbers]
        return found + of_block[self.seen.codes[self.seen.block]] if self.seen.block else found

    @cached_property
    def _parts(self) -> tuple[Floats, Floats]:
        """What a row of `basis` is the sum of: its cell's part [C, p], and its block's [blocks, p],
        which no factor acts together with."""
        own = slice(1, 1 + (full_df(self.seen, self.terms[0]) if self.seen.block else 0))
        rows = np.unique(self.seen.cell_numbers, return_index=True)[1]
        of_cell = self._design[rows]
        of_cell[:, own] = 0.0
        blocks = self.seen.codes[self.seen.block] if self.seen.block else np.zeros(1, np.int64)
        rows = np.unique(blocks, return_index=True)[1]
        return of_cell @ self._to_basis, self._design[rows, own] @ self._to_basis[own]

    @cached_property
    def _random(self) -> RandomSeeds:
        return RandomSeeds(self)

    @cached_property
    def unequal(self) -> CellVariances | UnequalVariances:
        """The variance estimator of intervals that do not pool."""
        if self.kind == "unequal":
            return UnequalVariances(self.seen, self.basis, self.residuals)
        width = full_df(self.seen, self.terms[0]) if self.seen.block else 0
        of_block = slice(1, 1 + width)  # the block's columns come after the mean's
        part = self._design[:, of_block] @ self._to_basis[of_block]
        return CellVariances(self.seen, self.basis, self.residuals, part)

    def space(self) -> Space:
        """Every term in the coordinates of `basis`: comparisons no longer need the trials."""
        widths = [1, *(full_df(self.seen, term) for term in self.terms)]
        parts = np.split(self._sizes[:, None] * self._right, np.cumsum(widths)[:-1], axis=1)
        return Space(parts[0], dict(zip(self.terms, parts[1:], strict=True)), self._along)

    @property
    def residuals(self) -> Floats:
        """The residuals of the response [n]."""
        rest = self.seen.y
        for _ in range(2):  # the second pass removes the rounding error of the first
            along = self._to_basis.T @ (self._design.T @ rest)
            rest = rest - self._design @ (self._to_basis @ along)
        return rest

    @property
    def leverage(self) -> Floats:
        """The weight of each trial in its own fitted value [n], 0 to 1."""
        own: Floats = (self.basis**2).sum(axis=1)
        return own

    def cell_weights(self, fixed: Mapping[str, int]) -> Floats:
        """The mean over all cells where the factors have the `fixed` codes [num_columns].

        Every other factor's levels count equally, filled or not, and so does every block: with
        sum coding their columns average to 0.
        """
        parts = [np.ones(1)]
        for term in self.terms:
            if all(name in fixed for name in term):
                codes = {name: np.array([fixed[name]], dtype=np.int64) for name in term}
                parts.append(term_columns(self.seen, term, codes)[0])
            else:
                parts.append(np.zeros(full_df(self.seen, term)))
        return np.concatenate(parts)

    def loadings(self, weights: Floats) -> Floats | None:
        """The weight of each trial [n] in a function of the parameters; None if not estimable."""
        coordinates = self._coordinates(weights)
        if coordinates is None:
            return None
        counts: Floats = self._design @ (self._to_basis @ (coordinates / self._sizes))
        return counts

    def estimate(self, weights: Floats, shift: float = 0.0, seeds: str = "fixed") -> Estimate:
        """The value of a function of the parameters, plus `shift`, with its 95 % t interval.

        With `seeds` "random" the interval of a mean holds for other seeds too (see `random_seeds`).
        """
        nan = float("nan")
        value, spread = self.measured(weights, seeds)
        value += shift
        if spread.refusal:
            return Estimate(value, nan, nan, nan, nan, nan, nan, spread.refusal)
        half = float(stats.t.ppf((1 + _CONFIDENCE) / 2, spread.df)) * spread.se
        t = value / spread.se
        p = float(2 * stats.t.sf(abs(t), spread.df))
        return Estimate(value, spread.se, spread.df, t, p, value - half, value + half, "")

    def measured(self, weights: Floats, seeds: str = "fixed") -> tuple[float, Spread]:
        """The value of a function of the parameters, NaN where the trials do not determine it, and
        its error: what an interval is made of."""
        coordinates = self._coordinates(weights)
        if coordinates is None:
            return float("nan"), Spread(float("nan"), float("nan"), self._why_not())
        scaled = coordinates / self._sizes
        value = float(scaled @ self._along)
        if seeds == "random":
            return value, self._random.of(self._loadings(scaled))
        return value, self._spread(scaled)

    def _spread(self, scaled: Floats) -> Spread:
        if self.error.refusal:
            return Spread(float("nan"), float("nan"), self.error.refusal)
        if self.kind not in ("pooled", "residual"):
            return self.unequal.of(self._loadings(scaled))
        se = float(np.sqrt(self.error.mean_sq) * np.linalg.norm(scaled))
        return Spread(se, float(self.error.df), "")

    def _coordinates(self, weights: Floats) -> Floats | None:
        coordinates: Floats = self._right @ weights
        missed = weights - self._right.T @ coordinates
        if np.linalg.norm(missed) > 1e-6 * max(1.0, float(np.linalg.norm(weights))):
            return None
        return coordinates

    def _rows(self, codes: Mapping[str, Ints]) -> Floats:
        first = next(iter(codes.values()))
        columns = [term_columns(self.seen, term, codes) for term in self.terms]
        return np.hstack([np.ones((len(first), 1)), *columns])

    def _why_not(self) -> str:
        return f"not estimable: {missing_cells_text(self.seen)}"


def missing_cells_text(seen: Observations) -> str:
    """Which cells hold no completed trial, in words; or that effects cannot be told apart."""
    empty = [cell for cell, count in seen.cell_counts().items() if count == 0]
    if not empty:
        return "it cannot be told apart from other effects in the completed trials"
    named = [
        ", ".join(
            f"{name} {label_text(level)}" for name, level in zip(seen.factors, cell, strict=True)
        )
        for cell in empty
    ]
    if len(named) > 3:
        return f"{len(named)} cells have no completed trial, the first: {named[0]}"
    return f"no completed trial at {'; '.join(named)}"
