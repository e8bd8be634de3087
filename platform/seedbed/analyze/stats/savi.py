"""Anytime-valid inference with effects of every size, as pyfixest's `savi` has it.

A t statistic of n seeds is weighed by how much likelier it is where the effect, in standard
deviations, is drawn from a normal distribution worth `prior` seeds, than where there is none. That
ratio has mean 1 where there is none and grows by one seed after the other to 1 / alpha with a
probability of alpha at most (Ville's inequality): so the values for which it stays below are an
interval which holds at all looks together, and shrinks for ever. Lindon, Ham, Tingley & Bojinov
2022 ("Anytime-Valid Inference in Linear Models", arXiv 2210.08589), where `prior` is g; exact for a
model whose errors are normal and alike (of two cells within seeds, whatever their variances).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

Floats = NDArray[np.float64]
# Seeds that a prior may be worth: a search is bounded by both ends, and ends at neither.
_LEAST, _MOST = 1e-6, 1e6


@dataclass(frozen=True)
class NormalEffect:
    """The evidence for an effect from a normal distribution that is worth `prior` seeds."""

    prior: float

    @classmethod
    def shortest(cls, num_seeds: float, df: float, alpha: float = 0.05) -> Self:
        """The one with the shortest interval when `num_seeds` have run, with `df` then.

        Chosen before the first look: one that follows the trials breaks the guarantee.
        """
        low, high = math.log(_LEAST), math.log(min(_MOST, 100 * num_seeds))
        steps = np.linspace(low, high, 400)

        def width(log_prior: float) -> float:
            return float(cls(math.exp(log_prior)).half_width(df, num_seeds, alpha))

        best = int(np.argmin([width(step) for step in steps]))
        ends = steps[max(best - 1, 0)], steps[min(best + 1, len(steps) - 1)]
        return cls(math.exp(optimize.minimize_scalar(width, bounds=ends, method="bounded").x))

    def log_evidence(self, t: ArrayLike, df: ArrayLike, num_seeds: ArrayLike) -> Floats:
        """The logarithm of the ratio, against no effect, of t statistics of `num_seeds` seeds."""
        t2, df = np.square(np.asarray(t, float)), np.asarray(df, float)
        shrunk = self.prior / (self.prior + np.asarray(num_seeds, float))
        apart = np.log1p(t2 / df) - np.log1p(shrunk * t2 / df)
        found: Floats = 0.5 * np.log(shrunk) + 0.5 * (df + 1) * apart
        return found

    def half_width(self, df: ArrayLike, num_seeds: ArrayLike, alpha: float = 0.05) -> Floats:
        """Half of the interval of 1 - `alpha` in standard errors; infinite with too few df."""
        df = np.asarray(df, float)
        shrunk = self.prior / (self.prior + np.asarray(num_seeds, float))
        share = (shrunk * alpha**2) ** (1 / (df + 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Floats = np.sqrt(df * (1 - share) / np.maximum(share - shrunk, 0.0))
        return found
