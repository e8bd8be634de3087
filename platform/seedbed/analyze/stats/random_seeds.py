"""Standard errors of means with seeds as a random effect: other seeds would shift the means.

In a difference within seeds their shifts cancel; in a mean they do not. The seeds' variance is
estimated by the method of moments (Henderson 1953, method 3), degrees of freedom are
Satterthwaite's. In complete tables with one residual variance this is what R's emmeans gives for
`lmer(y ~ factors + (1 | seed))`, unless that estimates the seeds' variance as 0. With missing
trials the mean is still the blocked model's, in which every seed has equal weight.
"""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

import numpy as np

from seedbed.analyze.stats.cell_variances import CellVariances
from seedbed.analyze.stats.error_term import ErrorTerm
from seedbed.analyze.stats.space import Space
from seedbed.analyze.stats.standard_errors import Spread, UnequalVariances
from seedbed.analyze.trials.observations import AnalysisError, Floats, Observations
from seedbed.errors import nearest

SEEDS = ("fixed", "random")


def checked_seeds(seeds: str, block: str | None) -> str:
    """Raises AnalysisError for an unknown word, and for random seeds without a block."""
    if seeds not in SEEDS:
        raise AnalysisError(f"seeds is {seeds!r}.", mend=nearest(seeds, SEEDS))
    if seeds == "random" and block is None:
        raise AnalysisError(
            "seeds is 'random', but no block names the seeds.", mend='Give block="seed".'
        )
    return seeds


class Fitted(Protocol):
    """The part of a `Fit` that standard errors of its means are computed from."""

    seen: Observations
    kind: str
    terms: list[tuple[str, ...]]
    error: ErrorTerm

    @property
    def basis(self) -> Floats: ...

    @property
    def unequal(self) -> CellVariances | UnequalVariances: ...

    def space(self) -> Space: ...


class RandomSeeds:
    """The standard errors of means of `fit`, with its block as a random effect."""

    def __init__(self, fit: Fitted) -> None:
        assert fit.seen.block is not None
        self.fit = fit
        self.seeds = fit.seen.codes[fit.seen.block]
        self.num_seeds = int(self.seeds.max()) + 1

    def of(self, loadings: Floats) -> Spread:
        """The standard error of `loadings` [n] @ response."""
        if self.fit.error.refusal:
            return Spread(float("nan"), float("nan"), self.fit.error.refusal)
        by_seed = self._by_seed.of(self._of_factors(loadings))
        if self.fit.kind == "unequal":
            return by_seed
        # The seeds' part of the mean's variance, per unit of the seeds' sum of squares. That sum
        # also contains the trials' own noise, which `part` subtracts.
        share = float((self._per_seed(loadings) ** 2).sum()) / self._size
        part = self._cells_part if self.fit.kind == "cells" else self._pooled_part
        least, noise, half_spread = part(loadings, share)
        half_spread += share**2 * self._half_spread
        variance = max(share * self._sum_sq + noise, least)  # the seeds' variance is at least 0
        if not (variance > 1e-14 * self.fit.error.sum_sq * float(loadings @ loadings) > 0):
            return by_seed
        df = variance**2 / half_spread
        if self.fit.kind == "cells":
            df = max(df, 1.0 if by_seed.refusal else by_seed.df)  # as in `CellVariances`
        return Spread(float(np.sqrt(variance)), df, "")

    def _pooled_part(self, loadings: Floats, share: float) -> tuple[float, float, float]:
        """The part of the mean's variance that is the trials' own noise, how much of it the seeds'
        sum of squares does not contain already, and half the variance of that estimate."""
        error, weight = self.fit.error, float(loadings @ loadings)
        noise = (weight - share * self._added.shape[1]) * error.mean_sq
        return weight * error.mean_sq, noise, noise**2 / error.df

    def _cells_part(self, loadings: Floats, share: float) -> tuple[float, float, float]:
        """The same with a variance for each cell; the seeds' sum of squares contains those too."""
        cells = self._cells
        own = cells.weights(loadings)
        weights = own - share * self._added_weights
        counts = cells.counts(weights)
        if counts is None:
            return self._pooled_part(loadings, share)
        together = float(counts @ self._mixed)
        half_spread = float(counts @ cells.spread_squares @ counts) + 2 * share * together
        return float(own @ cells.variances), float(weights @ cells.variances), half_spread

    def _of_factors(self, loadings: Floats) -> Floats:
        """What of `loadings` [n] is along `_within`, whose rows are alike in a cell."""
        numbers = self.fit.seen.cell_numbers
        rows = np.unique(numbers, return_index=True)[1]
        of_cell = self._within[rows]
        along = of_cell.T @ np.bincount(numbers, loadings)
        found: Floats = (of_cell @ along)[numbers]
        return found

    def _per_seed(self, values: Floats) -> Floats:
        """Sums over the trials of each seed [num_seeds]."""
        sums: Floats = np.bincount(self.seeds, values, self.num_seeds).astype(np.float64)
        return sums

    @cached_property
    def _within(self) -> Floats:
        """An orthonormal basis of the factors alone [n, rank]."""
        within: Floats = self.fit.basis @ self.fit.space().span(self.fit.terms[1:])
        return within

    @cached_property
    def _by_seed(self) -> UnequalVariances:
        """The t test on one mean per seed; where trials are lost, without the blocks' help."""
        y = self.fit.seen.y
        return UnequalVariances(
            self.fit.seen, self._within, y - self._within @ (self._within.T @ y)
        )

    @cached_property
    def _cells(self) -> CellVariances:
        unequal = self.fit.unequal
        assert isinstance(unequal, CellVariances)
        return unequal

    @cached_property
    def _added(self) -> Floats:
        """An orthonormal basis of what the seeds add to the factors [n, up to num_seeds - 1]."""
        block, *factors = self.fit.terms
        added: Floats = self.fit.basis @ self.fit.space().added(block, factors)
        return added

    @cached_property
    def _added_weights(self) -> Floats:
        """The weight of each cell's variance in the seeds' sum of squares [num_cells]."""
        return self._cells.weights_of(self._added)

    @cached_property
    def _mixed(self) -> Floats:
        """Squares of (I - H) V times the directions between seeds, summed by cell [num_cells]: 0
        where all cells have one variance."""
        cells = self._cells
        mixed = cells.variances[cells.cells][:, None] * self._added
        mixed -= self.fit.basis @ (self.fit.basis.T @ mixed)
        return cells.sums((mixed**2).sum(axis=1))

    @cached_property
    def _sum_sq(self) -> float:
        return float(((self._added.T @ self.fit.seen.y) ** 2).sum())

    @cached_property
    def _between(self) -> Floats:
        """The seeds' indicators in the directions they add [rank, num_seeds]."""
        return np.stack([self._per_seed(column) for column in self._added.T])

    @cached_property
    def _size(self) -> float:
        """How often the seeds' variance is in the expectation of their sum of squares."""
        return float((self._between**2).sum())

    @cached_property
    def _half_spread(self) -> float:
        """Half the variance of the seeds' sum of squares."""
        if self.fit.kind == "cells":
            own = self._cells.variances[self._cells.cells]
        else:
            own = np.full(len(self.seeds), self.fit.error.mean_sq)
        noise = self._added.T @ (own[:, None] * self._added)
        seeds = (self._sum_sq - float(np.trace(noise))) / self._size
        sizes = np.linalg.eigvalsh(seeds * (self._between @ self._between.T) + noise)
        return float((np.maximum(sizes, 0.0) ** 2).sum())
