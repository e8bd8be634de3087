"""Projections: what columns add to those before them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from seedbed.analyze.trials.observations import Floats

RANK_TOLERANCE = 1e-11  # of squared lengths; rounding stays below 1e-14


def added_basis(basis: Floats, columns: Floats) -> Floats:
    """An orthonormal basis [n, rank] of what `columns` add to the span of `basis`."""
    if columns.shape[1] == 0:
        return np.zeros((len(basis), 0))
    rest = columns
    for _ in range(2):  # the second pass removes the rounding error of the first
        rest = rest - basis @ (basis.T @ rest)
    q, r, _ = linalg.qr(rest, mode="economic", pivoting=True)
    scale = float(np.sqrt((columns**2).sum(axis=0)).max())
    rank = int((np.abs(np.diag(r)) > np.sqrt(RANK_TOLERANCE) * scale).sum())
    return q[:, :rank]


@dataclass(frozen=True)
class Space:
    """Every term's columns [m, k] and the response [m], in common coordinates."""

    ones: Floats
    columns: Mapping[tuple[str, ...], Floats]
    y: Floats

    def span(self, terms: Iterable[tuple[str, ...]]) -> Floats:
        """An orthonormal basis [m, rank] of the intercept and `terms`, in their order."""
        basis = added_basis(np.zeros((len(self.y), 0)), self.ones)
        for term in terms:
            basis = np.hstack([basis, added_basis(basis, self.columns[term])])
        return basis

    def added(self, term: tuple[str, ...], after: Iterable[tuple[str, ...]]) -> Floats:
        """An orthonormal basis of what `term` adds to the intercept and `after`."""
        return added_basis(self.span(after), self.columns[term])
