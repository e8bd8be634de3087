"""Robust standard errors: the cells may have unequal variances.

With a block (the seed) the blocks are the independent units, whatever the cells' variances and
however trials of a block are correlated: the cluster-robust CR2 estimator with Satterthwaite's
degrees of freedom, which in a complete design is the t test on one value per block. Without a block
it is HC2, which in cells without a further model is Welch's test.
Bell & McCaffrey 2002 (Survey Methodology 28:169); Pustejovsky & Tipton 2018 (JBES 36:672);
MacKinnon & White 1985 (J. Econometrics 29:305); Welch 1947.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from seedbed.analyze.stats.complete_blocks import FULL_LEVERAGE, CompleteBlocks, stretched
from seedbed.analyze.trials.observations import Floats, Ints, Observations

FEWEST_BLOCKS = 3


@dataclass(frozen=True)
class Spread:
    """A standard error with its degrees of freedom; `refusal` says why there is none."""

    se: float
    df: float
    refusal: str


def _refused(why: str) -> Spread:
    return Spread(float("nan"), float("nan"), why)


class UnequalVariances:
    """The standard error of any linear function of a model with the orthonormal `basis` [n, p].

    What depends on the model alone is computed once, however many functions are asked for.
    """

    def __init__(self, seen: Observations, basis: Floats, residuals: Floats) -> None:
        self.seen, self.basis, self.residuals = seen, basis, residuals

    def of(self, loadings: Floats) -> Spread:
        """The standard error of `loadings` [n] @ response."""
        if self.seen.block is not None:
            return self._by_block(loadings)
        return self._by_trial(loadings)

    @cached_property
    def _blocks(self) -> list[tuple[Ints, Floats, Floats, Floats]]:
        """Of each block: its rows, its part of `basis`, and `stretched` of that.

        I - B B' of a block is the identity except along B: its inverse square root needs p columns,
        not one for each row of the block.
        """
        assert self.seen.block is not None
        codes = self.seen.codes[self.seen.block]
        blocks = []
        for block in range(len(self.seen.levels[self.seen.block])):
            rows = np.flatnonzero(codes == block)
            part = self.basis[rows]
            blocks.append((rows, part, *stretched(part)))
        return blocks

    @cached_property
    def _complete(self) -> CompleteBlocks | None:
        return CompleteBlocks.of(self.seen, self.basis)

    def _pulled(self, loadings: Floats) -> tuple[Floats, Floats, Floats]:
        """As `CompleteBlocks.pulled` gives it, of any table."""
        if self._complete is not None:
            return self._complete.pulled(loadings, self.residuals)
        steps, sizes, reach = [], [], []
        for rows, part, directions, stretch in self._blocks:
            own = loadings[rows]
            pull = own + directions @ (stretch * (directions.T @ own))
            steps.append(float(pull @ self.residuals[rows]))
            sizes.append(float(pull @ pull))
            reach.append(part.T @ pull)
        return np.array(steps), np.array(sizes), np.array(reach)

    def _by_block(self, loadings: Floats) -> Spread:
        steps, sizes, reach = self._pulled(loadings)
        there = np.sqrt(sizes) >= 1e-9 * np.linalg.norm(loadings)
        steps, sizes, reach = steps[there], sizes[there], reach[there]
        if len(steps) < FEWEST_BLOCKS:
            return _refused(
                f"unequal variances: {len(steps)} of the blocks hold this comparison, "
                f"{FEWEST_BLOCKS} needed"
            )
        variance = float(np.sum(np.square(steps)))
        # Products of (I - H) pull between blocks; pulls of different blocks share no row.
        overlap = np.diag(sizes) - reach @ reach.T
        return _spread(variance, float(np.trace(overlap)) ** 2 / float((overlap**2).sum()))

    def _by_trial(self, loadings: Floats) -> Spread:
        left = self._left
        counts = np.abs(loadings) > 1e-9 * np.linalg.norm(loadings)
        if (left[counts] < FULL_LEVERAGE).any():
            return _refused("unequal variances: a cell of this comparison has a single trial")
        left = np.maximum(left, FULL_LEVERAGE)
        shares = np.where(counts, loadings**2 / left, 0.0)
        variance = float(shares @ self._squares)
        first, squares, rows = self._of_cells
        own = shares[rows]  # trials of a cell have one row of `basis`, and so one share
        return _spread(variance, float(own @ first) ** 2 / float(own @ squares @ own))

    @cached_property
    def _left(self) -> Floats:
        """1 - leverage of each trial [n]."""
        left: Floats = 1 - (self.basis**2).sum(axis=1)
        return left

    @cached_property
    def _squares(self) -> Floats:
        return self.residuals**2

    @cached_property
    def _of_cells(self) -> tuple[Floats, Floats, Ints]:
        """Welch's degrees of freedom, from the variances V estimated in the cells.

        The variance is residuals' D residuals, and W = (I - H) V (I - H) their covariance: its mean
        and variance are the traces of D W and of 2 D W D W. Between cells c and d the entries of W
        are (HVH)[c, d] - (V[c] + V[d]) H[c, d], and V[c] more for a trial with itself. Of each cell
        the sum of W's diagonal [C], of each two that of its squares [C, C], and a trial [C].
        """
        _, rows, cells, num = np.unique(
            self.seen.cell_numbers, return_index=True, return_inverse=True, return_counts=True
        )
        left = np.maximum(self._left, FULL_LEVERAGE)
        sums = np.bincount(cells, weights=self._squares)
        var = sums / np.maximum(np.bincount(cells, weights=left), FULL_LEVERAGE)
        basis = self.basis[rows]
        inner = basis.T @ ((num * var)[:, None] * basis)
        between = basis @ inner @ basis.T - (var[:, None] + var) * (basis @ basis.T)
        own = between.diagonal()
        squares = np.outer(num, num) * between**2 + np.diag(num * var * (var + 2 * own))
        return num * (var + own), squares, rows


def _spread(variance: float, df: float) -> Spread:
    if not (variance > 0 and df > 0):
        return _refused("the seeds agree exactly: there is no error to test against")
    return Spread(float(np.sqrt(variance)), df, "")
