"""Trends of differences over budgets: straight lines over the logarithm of the budget.

What all cells have in common at a budget is free, so that a response which bends with the budget
bends no difference. Every cell of the other factors has a level of its own, and a slope that is the
sum of parts of its factors' levels (of their pairs too, where `order` is 2). What the lines leave,
the bending of differences, interactions with the budget that the model has no part for, and noise,
is pooled: with two budgets and several factors there is still an error. Intervals at a further
budget are prediction intervals of what runs there would show; of a line that bends beyond the
budgets seen they know what bending those show.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from seedbed.analyze.stats.comparison import Estimate

Floats = NDArray[np.float64]
Cell = tuple[int, ...]  # the codes of the other factors
CONFIDENCE = 0.95
_TOLERANCE = 1e-8


@dataclass(frozen=True)
class Trend:
    """A fit of cell means [cells, budgets], NaN for none; `cells` are its rows, in codes.

    `budgets` are counts, ascending. `error_sq` is the pooled variance of a mean about its line, on
    `df` degrees of freedom.
    """

    cells: tuple[Cell, ...]
    budgets: tuple[float, ...]
    order: int
    means: Floats
    _parameters: Floats
    _inverse: Floats  # pseudo-inverse of X'X
    _known: Floats  # the projector on what the trials determine
    _columns: Mapping[tuple[tuple[int, int], ...], int]
    error_sq: float
    df: int

    def weights(self, parts: Mapping[Cell, float], budget: float) -> Floats:
        """The coefficients of a difference of cells, whose weights sum to 0, at `budget`."""
        row = np.zeros(len(self._parameters))
        for cell, weight in parts.items():
            row[self.cells.index(cell)] += weight
            for part in _parts(cell, self.order):
                row[self._columns[part]] += weight * _log(budget, self.budgets)
        return row

    def at(
        self, parts: Mapping[Cell, float], budget: float, beside: tuple[float, float] = (0.0, 1.0)
    ) -> Estimate:
        """A difference of cells at a further `budget`, with what new runs there would vary.

        `beside` is a variance with its degrees of freedom that comes on top: of what all budgets
        share, so that no line shows it (Satterthwaite 1946 for the sum).
        """
        weights = self.weights(parts, budget)
        new = sum(w * w for w in parts.values())
        spread = self.error_sq * (float(weights @ self._inverse @ weights) + new)
        value, (more, more_df) = self._value(weights), beside
        if not more or not self.df:
            return judged(value, spread, self.df)
        df = (spread + more) ** 2 / (spread**2 / self.df + more**2 / more_df)
        return judged(value, spread + more, df)

    def within(self, parts: Mapping[Cell, float], index: int) -> Estimate:
        """The same difference of means at the fitted budget `index`, where nothing but the lines
        tells noise."""
        value = float(sum(w * self.means[self.cells.index(c), index] for c, w in parts.items()))
        spread = self.error_sq * sum(w * w for w in parts.values())
        return judged(value, spread, self.df)

    def slope(self, parts: Mapping[Cell, float]) -> Estimate:
        """How much a difference of cells grows when the budget becomes e times as large."""
        one = self.weights(parts, math.e * self.budgets[0])
        weights = one - self.weights(parts, self.budgets[0])
        spread = self.error_sq * float(weights @ self._inverse @ weights)
        return judged(self._value(weights), spread, self.df)

    def _value(self, weights: Floats) -> float:
        """NaN where the means do not determine it: a level with one budget has no slope."""
        missed = float(np.linalg.norm(weights - self._known @ weights))
        if missed > _TOLERANCE * max(1.0, float(np.linalg.norm(weights))):
            return math.nan
        return float(weights @ self._parameters)


def judged(value: float, variance: float, df: float) -> Estimate:
    """An estimate with its 95 % t interval; without degrees of freedom it has none."""
    if math.isnan(value) or df <= 0 or math.isnan(variance):
        nan = math.nan
        why = "no degrees of freedom for an error"
        why = "not estimable: a level has too few budgets" if math.isnan(value) else why
        return Estimate(value, nan, nan, nan, nan, nan, nan, why)
    error = math.sqrt(variance)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, df)) * error
    t = value / error if error else math.inf * np.sign(value)
    p = float(2 * stats.t.sf(abs(t), df))
    return Estimate(value, error, df, float(t), p, value - half, value + half, "")


def fit_trend(
    means: Mapping[Cell, Sequence[float]],
    budgets: Sequence[float],
    order: int = 1,
    *,
    spent: int = 0,
) -> Trend:
    """Fits the means of cells, by their codes, at `budgets`; a cell with one budget has no line of
    its own and takes the slope of its levels.

    `spent` degrees of freedom have gone into the means before.
    """
    cells = tuple(cell for cell, own in means.items() if any(math.isfinite(v) for v in own))
    table = np.array([means[cell] for cell in cells], dtype=np.float64)
    parts = dict.fromkeys(part for cell in cells for part in _parts(cell, order))
    shared = len(cells)  # the columns of what all have in common at each budget
    columns = {part: shared + len(budgets) + number for number, part in enumerate(parts)}
    rows, values = [], []
    for number, cell in enumerate(cells):
        for place, budget in enumerate(budgets):
            if math.isfinite(table[number, place]):
                row = np.zeros(shared + len(budgets) + len(columns))
                row[number] = row[shared + place] = 1.0
                for part in _parts(cell, order):
                    row[columns[part]] = _log(budget, budgets)
                rows.append(row)
                values.append(table[number, place])
    design, y = np.array(rows), np.array(values)
    squares: Floats = design.T @ design
    inverse: Floats = np.asarray(np.linalg.pinv(squares, rcond=_TOLERANCE, hermitian=True), float)
    parameters: Floats = inverse @ (design.T @ y)
    rest = y - design @ parameters
    df = max(0, len(y) - int(np.linalg.matrix_rank(design, tol=_TOLERANCE)) - spent)
    error_sq = float(rest @ rest) / df if df else math.nan
    known: Floats = inverse @ squares
    return Trend(
        cells, tuple(budgets), order, table, parameters, inverse, known, columns, error_sq, df
    )


def next_budget(budgets: Sequence[float]) -> float:
    """As far beyond the largest as that is beyond the one before it."""
    return budgets[-1] * budgets[-1] / budgets[-2]


def crossing(first: Estimate, second: Estimate) -> float:
    """The probability that two effects have different signs, their errors taken for independent:
    NaN where either has no error."""
    shares = []
    for one in (first, second):
        if math.isnan(one.std_error):
            return math.nan
        if one.std_error == 0:
            shares.append(float(one.estimate > 0))
        else:
            shares.append(float(stats.t.cdf(one.estimate / one.std_error, one.df)))
    above, above_then = shares
    return above * (1 - above_then) + (1 - above) * above_then


def _log(budget: float, budgets: Sequence[float]) -> float:
    return math.log(budget / budgets[0])


def _parts(cell: Cell, order: int) -> list[tuple[tuple[int, int], ...]]:
    """What a cell's slope is the sum of: parts of its levels, and of pairs of them."""
    named = list(enumerate(cell))
    sizes = range(1, min(order, len(named)) + 1)
    return [part for size in sizes for part in itertools.combinations(named, size)]
