"""The linear model behind every estimate: sum coding, rank-aware projections, estimability.

A term is a tuple of factor names. Sums of squares come from projecting onto what a term adds to
the terms before it (pivoted QR), so empty cells and aliases cost degrees of freedom, not truth.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import linalg, stats

from ablate.analyze.columns import Floats, Ints, Observations, label_text

Term = tuple[str, ...]

_RANK_TOLERANCE = 1e-8
_ZERO_RESIDUAL = 1e-22  # of the total sum of squares: what rounding leaves of an exact fit
_CONFIDENCE = 0.95
# With two seeds a contrast has so few degrees of freedom that only a pooled error is usable.
_MIN_POOLED_DF = 6


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


def added_basis(basis: Floats, columns: Floats) -> Floats:
    """An orthonormal basis [n, rank] of what `columns` add to the span of `basis`."""
    if columns.shape[1] == 0:
        return np.zeros((len(basis), 0))
    rest = columns
    for _ in range(2):  # the second pass takes away what rounding left of the first
        rest = rest - basis @ (basis.T @ rest)
    q, r, _ = linalg.qr(rest, mode="economic", pivoting=True)
    scale = float(np.sqrt((columns**2).sum(axis=0)).max())
    rank = int((np.abs(np.diag(r)) > _RANK_TOLERANCE * scale).sum())
    return q[:, :rank]


def span(seen: Observations, terms: Iterable[Term]) -> Floats:
    """An orthonormal basis of the intercept and `terms`, in their order."""
    num_rows = len(seen.y)
    basis = np.full((num_rows, 1), 1 / np.sqrt(num_rows))
    for term in terms:
        basis = np.hstack([basis, added_basis(basis, term_columns(seen, term, seen.codes))])
    return basis


@dataclass(frozen=True)
class ErrorTerm:
    """The residual of a model and whether it may be used: `refusal` says why not."""

    sum_sq: float
    df: int
    refusal: str

    @property
    def mean_sq(self) -> float:
        return self.sum_sq / self.df if self.df else float("nan")


def error_term(seen: Observations, basis: Floats) -> ErrorTerm:
    """What `basis` leaves unexplained, under the rules on one and two seeds."""
    rest = seen.y - basis @ (basis.T @ seen.y)
    sum_sq, df = float(rest @ rest), len(seen.y) - basis.shape[1]
    refusal = ""
    if seen.is_constant:
        sum_sq, refusal = 0.0, "the response is the same in every completed trial"
    elif seen.num_seeds < 2:
        refusal = "one seed: no interval and no p"
    elif df == 0:
        refusal = "no degrees of freedom are left for the error: no interval and no p"
    elif seen.num_seeds == 2 and df < _MIN_POOLED_DF:
        refusal = (
            f"two seeds: the pooled error has {df} degrees of freedom, {_MIN_POOLED_DF} needed"
        )
    elif sum_sq <= _ZERO_RESIDUAL * float(seen.y @ seen.y):
        refusal = "the seeds agree exactly: there is no error to test against"
    return ErrorTerm(sum_sq, df, refusal)


@dataclass(frozen=True)
class Estimate:
    """One estimable function of a model; NaN where the note says why."""

    value: float
    se: float
    df: float
    t: float
    p: float
    ci_low: float
    ci_high: float
    note: str


class Fit:
    """A least-squares fit that knows which functions of its parameters the trials determine."""

    def __init__(self, seen: Observations, order: int) -> None:
        self.seen = seen
        self.terms = model_terms(seen, order)
        design = self._rows(seen.codes)
        left, sizes, right = linalg.svd(design, full_matrices=False)
        rank = int((sizes > _RANK_TOLERANCE * sizes[0]).sum())
        self._right = right[:rank]
        self._scaled = (left[:, :rank] / sizes[:rank]).T
        self._sizes = sizes[:rank]
        self.error = error_term(seen, left[:, :rank])

    def cell_weights(self, fixed: Mapping[str, int]) -> Floats:
        """The mean over all cells where the factors have the `fixed` codes [num_columns].

        Every other factor's levels count equally, filled or not, and so does every block.
        """
        ranges = [
            [fixed[name]] if name in fixed else range(len(self.seen.levels[name]))
            for name in self.seen.factors
        ]
        grid = np.array(list(itertools.product(*ranges)), dtype=np.int64)
        codes = dict(zip(self.seen.factors, grid.T, strict=True))
        block = self.seen.block
        if block is None:
            return self._rows(codes).mean(axis=0)
        per_block = []
        for index in range(len(self.seen.levels[block])):
            codes[block] = np.full(len(grid), index)
            per_block.append(self._rows(codes).mean(axis=0))
        return np.mean(per_block, axis=0)

    def estimate(self, weights: Floats, shift: float = 0.0) -> Estimate:
        """The value of a function of the parameters, plus `shift`, with its 95 % t interval."""
        nan = float("nan")
        coordinates = self._right @ weights
        missed = weights - self._right.T @ coordinates
        if np.linalg.norm(missed) > 1e-6 * max(1.0, float(np.linalg.norm(weights))):
            return Estimate(nan, nan, nan, nan, nan, nan, nan, self._why_not())
        gap = float(coordinates @ (self._scaled @ self.seen.y))
        value = gap + shift
        if self.error.refusal:
            return Estimate(value, nan, nan, nan, nan, nan, nan, self.error.refusal)
        df = self.error.df
        se = float(np.sqrt(self.error.mean_sq) * np.linalg.norm(coordinates / self._sizes))
        half = float(stats.t.ppf((1 + _CONFIDENCE) / 2, df)) * se
        p = float(2 * stats.t.sf(abs(value / se), df))
        return Estimate(value, se, float(df), value / se, p, value - half, value + half, "")

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
