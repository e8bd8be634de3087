"""Blocks that each have one trial of every cell: all of them are computed with together.

A row of the model's basis is its cell's part plus its block's. In a complete table the blocks'
parts have one length and one product with each cell's part, so that the projection within a block
is the same in all of them: it is decomposed once, and what is asked of every block is a product of
matrices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from seedbed.analyze.trials.observations import Floats, Ints, Observations

_ALIKE = 1e-12  # of entries of an orthonormal basis: rounding stays below
FULL_LEVERAGE = 1e-8  # 1 - leverage below this: the trial is its own fitted value


@dataclass(frozen=True)
class CompleteBlocks:
    """`rows` [B, C] are the trials of each block in the order of the cells, `of_cell` [C, p] and
    `of_block` [B, p] the parts of the basis, `directions` [C, C] and `stretch` [C] those of the
    inverse square root (see `stretched`)."""

    rows: Ints
    of_cell: Floats
    of_block: Floats
    directions: Floats
    stretch: Floats

    @classmethod
    def of(cls, seen: Observations, basis: Floats) -> Self | None:
        """None where the table is not complete."""
        assert seen.block is not None
        blocks, cells = seen.codes[seen.block], seen.cell_numbers
        shape = len(seen.levels[seen.block]), int(cells.max()) + 1
        if len(cells) != shape[0] * shape[1]:
            return None
        rows = np.lexsort((cells, blocks)).reshape(shape)
        if (cells[rows] != np.arange(shape[1])).any():
            return None
        parts = basis[rows]
        of_cell = parts.mean(axis=0)
        parts -= of_cell
        of_block = parts.mean(axis=1)
        parts -= of_block[:, None, :]
        products = of_cell @ of_block.T, (of_block**2).sum(axis=1)
        uneven = [np.abs(own - own.mean(axis=-1, keepdims=True)).max() for own in products]
        if max(np.abs(parts).max(), *uneven) > _ALIKE:
            return None
        part = of_cell + of_block[0]
        directions, stretch = stretched(part)
        return cls(rows, of_cell, of_block, directions, stretch)

    def pulled(self, loadings: Floats, residuals: Floats) -> tuple[Floats, Floats, Floats]:
        """Of each block what its residuals give a comparison, the squared length of that, and its
        product with the basis [B, p]."""
        own = loadings[self.rows]
        pull = own + ((own @ self.directions) * self.stretch) @ self.directions.T
        reach = pull @ self.of_cell + pull.sum(axis=1, keepdims=True) * self.of_block
        return (pull * residuals[self.rows]).sum(axis=1), (pull**2).sum(axis=1), reach


def stretched(part: Floats) -> tuple[Floats, Floats]:
    """The directions of a block's rows of the basis [m, k], and how much further than 1 the inverse
    square root of I - `part` `part`' stretches each of them.

    It undoes how much the fit shrank this block's residuals. The direction of the block's own mean
    is lost, but has no weight in a comparison within blocks.
    """
    if len(part) <= part.shape[1]:
        sizes, directions = np.linalg.eigh(part @ part.T)
    else:
        directions, lengths, _ = np.linalg.svd(part, full_matrices=False)
        sizes = lengths**2
    left = 1 - sizes
    stretch = np.where(left > FULL_LEVERAGE, 1 / np.sqrt(np.maximum(left, 1e-300)), 0) - 1
    return directions, stretch
