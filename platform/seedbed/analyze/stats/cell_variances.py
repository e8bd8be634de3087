"""Standard errors with a variance for each cell, after the seeds' shifts are removed.

The cells' variances equate the squared residuals with their expectations (Rao's MINQUE, unbiased
for any variances and shifts; in a complete table Grubbs' estimators). Degrees of freedom are
Satterthwaite's, but at least those of the t test on one value per seed, which assumes nothing about
the other cells. Trials of one seed may share a shift and nothing else: where they share more, use
that t test (`standard_errors`). Without a block this is Welch's test. Rao 1970 (JASA 65:161);
Grubbs 1948 (JASA 43:243); Satterthwaite 1946; Welch 1947.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from seedbed.analyze.stats.standard_errors import FEWEST_BLOCKS, Spread, UnequalVariances
from seedbed.analyze.trials.observations import Floats, Observations

_NONE = 1e-9  # of a squared residual: only rounding is left where the fit reproduces the trial
_ROUNDING = 1e-14
_OUT_OF_RANGE = 1e-6  # of a comparison's weight on the cells


class CellVariances:
    """The standard error of any linear function of a model with the orthonormal `basis` [n, p].

    `block_part` [n, p] is what the block adds to each row of `basis`: a row is its cell's part plus
    its block's, so that sums over pairs of trials reduce to sums over pairs of cells. What depends
    on the model alone is computed once, in num_cells**2 * (p + num_blocks) steps.
    """

    def __init__(
        self, seen: Observations, basis: Floats, residuals: Floats, block_part: Floats
    ) -> None:
        self.seen, self.basis, self.residuals = seen, basis, residuals
        self.cells = seen.cell_numbers
        self.num_cells = int(self.cells.max()) + 1
        blocks = seen.codes[seen.block] if seen.block is not None else np.zeros_like(self.cells)
        self._counts = np.zeros((self.num_cells, int(blocks.max()) + 1))
        np.add.at(self._counts, (self.cells, blocks), 1.0)
        self._of_cell = (basis - block_part)[np.unique(self.cells, return_index=True)[1]]
        self._of_block = block_part[np.unique(blocks, return_index=True)[1]]
        self._by_seed = UnequalVariances(seen, basis, residuals)

    def of(self, loadings: Floats) -> Spread:
        """The standard error of `loadings` [n] @ response."""
        by_seed = self._by_seed.of(loadings)
        if self.seen.block is not None and self._counts.shape[1] < FEWEST_BLOCKS:
            return by_seed
        weights = self.weights(loadings)
        variance = float(weights @ self.variances)
        counts = self.counts(weights)
        if counts is None or variance <= self.rounding(loadings):  # no estimate by cells
            return by_seed
        df = variance**2 / float(counts @ self.spread_squares @ counts)
        # Satterthwaite's number comes from variances of few trials each, and may fall below that of
        # the t test on one value per seed, which is valid whatever the cells' variances.
        least = 1.0 if by_seed.refusal else by_seed.df
        return Spread(float(np.sqrt(variance)), max(df, least), "")

    def rounding(self, loadings: Floats) -> float:
        """The variance of `loadings` [n] @ response that rounding alone can cause."""
        return _ROUNDING * float(loadings @ loadings) * float(self.residuals @ self.residuals)

    def weights(self, loadings: Floats) -> Floats:
        """The weight of each cell's variance in that of a comparison [num_cells].

        A cell that the model fits exactly, such as one of a single trial, has no estimate of its
        variance: the largest variance of any cell stands in for it.
        """
        return self.weights_of(loadings[:, None])

    def weights_of(self, directions: Floats) -> Floats:
        """The same of the sum of squares along `directions` [n, k]."""
        own = self.sums((directions**2).sum(axis=1))
        own[self._widest] += own[self._silent].sum()
        own[self._silent] = 0.0
        return own

    def counts(self, weights: Floats) -> Floats | None:
        """The weight of each cell's sum of squared residuals [num_cells]; None if not estimable."""
        solved = self._solved(weights)
        missed = np.abs(self.squares @ solved - weights).max()
        return None if missed > _OUT_OF_RANGE * np.abs(weights).max() else solved

    @cached_property
    def variances(self) -> Floats:
        """The variance of each cell [num_cells]; an estimate below 0, or within rounding, is 0."""
        least = _NONE * float(self._unbiased.max(initial=0.0))
        return np.where(self._unbiased > least, self._unbiased, 0.0)

    @cached_property
    def squares(self) -> Floats:
        """Squares of the residual projection I - H, summed over pairs of cells [C, C]."""
        hat = self._parts(None)
        summed = self._pair_sums(hat, hat)
        own = self.sums(1 - 2 * (self.basis**2).sum(axis=1))
        summed[np.diag_indices(self.num_cells)] += own
        return summed

    @cached_property
    def spread_squares(self) -> Floats:
        """The same of the residuals' covariance, (I - H) V (I - H) [C, C].

        With V the cells' variances it is V - (VH + HV) + HVH. The result is half the covariance of
        the cells' sums of squared residuals.
        """
        var = self.variances
        weighted = self.basis.T @ (var[self.cells][:, None] * self.basis)
        hat, both = self._parts(None), self._parts(weighted)
        pair = var[:, None] + var[None, :]
        summed = (
            self._pair_sums(both, both)
            - 2 * pair * self._pair_sums(both, hat)
            + pair**2 * self._pair_sums(hat, hat)
        )
        leverage = self.sums((self.basis**2).sum(axis=1))
        double = self.sums(((self.basis @ weighted) * self.basis).sum(axis=1))
        own = self._counts.sum(axis=1) * var**2 + 2 * var * (double - 2 * var * leverage)
        summed[np.diag_indices(self.num_cells)] += own
        return summed

    def _parts(self, inner: Floats | None) -> tuple[Floats, Floats, Floats]:
        """The parts of basis inner basis': cell with cell, cell with block, block with block."""
        cell, block = self._of_cell, self._of_block
        left, low = (cell, block) if inner is None else (cell @ inner, block @ inner)
        return left @ cell.T, left @ block.T, low @ block.T

    def _pair_sums(
        self, one: tuple[Floats, Floats, Floats], other: tuple[Floats, Floats, Floats]
    ) -> Floats:
        """Products of two such matrices, entry by entry, summed over pairs of cells [C, C].

        The entry of trials in cells c, d and blocks s, t is P[c, d] + Q[c, t] + Q[d, s] + R[s, t].
        """
        num = self._counts
        size = num.sum(axis=1)
        (p, q, r), (p2, q2, r2) = one, other
        cross, cross2 = q @ num.T, q2 @ num.T  # of c with the blocks of d
        through, through2 = num @ r, num @ r2
        lopsided = (
            size[:, None] * ((q * q2) @ num.T)
            + p * size[:, None] * cross2
            + p2 * size[:, None] * cross
            + (q * through2 + q2 * through) @ num.T
        )
        summed: Floats = (
            p * p2 * np.outer(size, size)
            + cross * cross2.T
            + cross.T * cross2
            + p * (through2 @ num.T)
            + p2 * (through @ num.T)
            + num @ (r * r2) @ num.T
            + lopsided
            + lopsided.T
        )
        return summed

    @cached_property
    def _unbiased(self) -> Floats:
        return self._solved(self.sums(self.residuals**2))

    @cached_property
    def _silent(self) -> NDArray[np.bool_]:
        silent: NDArray[np.bool_] = np.diag(self.squares) < _NONE
        return silent

    @cached_property
    def _widest(self) -> int:
        return int(np.argmax(np.where(self._silent, -np.inf, self._unbiased)))

    def _solved(self, sums: Floats) -> Floats:
        counts = np.zeros(self.num_cells)
        heard = ~self._silent
        counts[heard] = self._inverse @ sums[heard]
        return counts

    @cached_property
    def _inverse(self) -> Floats:
        heard = ~self._silent
        inverse: Floats = linalg.pinvh(self.squares[np.ix_(heard, heard)], rtol=1e-8)
        return inverse

    def sums(self, values: Floats) -> Floats:
        """Sums over the trials of each cell [num_cells]."""
        found: Floats = np.bincount(self.cells, values, self.num_cells).astype(np.float64)
        return found
