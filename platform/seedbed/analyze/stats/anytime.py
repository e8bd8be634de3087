"""Intervals and p values that hold at every look, however often one looks and whenever one stops.

A t statistic of n seeds is weighed by how much likelier it is where the effect is `size` standard
deviations, up or down, than where there is none. Where there is none, that ratio of noncentral and
central t densities has mean 1 and grows by one seed after the other to 1 / alpha with a probability
of alpha at most (Ville's inequality): so the values for which it stays below are an interval which
holds at all looks together. Perez-Ortiz, Lardy, de Heide & Grunwald 2024 ("E-statistics, group
invariance and anytime-valid testing", Ann. Statist. 52:1410, arXiv 2208.07610); the t test of
Barnard 1952 and Rushton 1950 is the same ratio.

All evidence is laid on one size: intervals are the shortest, sqrt(2 log(2 / alpha)) standard errors
with many degrees of freedom, when as many seeds have run as it is made for, and about as short
from half to twice as many. They never get shorter than `size`, end to end. That is no harm to a
study that ends at a stated number; `savi` has those that shrink for ever. Exact, like those, for a
model whose errors are normal and alike (of two cells within seeds, whatever their variances).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]
_HALVINGS = 60  # of the interval from 0 to 1: to the last digit


@dataclass(frozen=True)
class OneSize:
    """The evidence for an effect of `size` standard deviations of one seed's, either way."""

    size: float

    @classmethod
    def shortest(cls, num_seeds: float, alpha: float = 0.05) -> Self:
        """The one with the shortest interval when `num_seeds` have run, with many df.

        Chosen before the first look: one that follows the trials breaks the guarantee.
        """
        return cls(math.sqrt(2 * math.log(2 / alpha) / num_seeds))

    def log_evidence(self, t: ArrayLike, df: ArrayLike, num_seeds: ArrayLike) -> Floats:
        """The logarithm of the ratio, against no effect, of t statistics of `num_seeds` seeds."""
        t2, df = np.square(np.asarray(t, float)), np.asarray(df, float)
        return self._at(t2 / (df + t2), df, num_seeds)

    def _at(self, explained: ArrayLike, df: ArrayLike, num_seeds: ArrayLike) -> Floats:
        """The same of the shares t² / (df + t²) of what varies. Both densities' series in t, whose
        odd terms cancel between up and down, make it Kummer's function 1F1."""
        half = 0.5 * self.size**2 * np.asarray(num_seeds, float)
        own = half * np.asarray(explained, float)
        with np.errstate(over="ignore"):  # then it is infinite, and its p is 0
            series = special.hyp1f1((np.asarray(df, float) + 1) / 2, 0.5, own)
        return np.asarray(np.log(series) - half)

    def half_width(self, df: ArrayLike, num_seeds: ArrayLike, alpha: float = 0.05) -> Floats:
        """Half of the interval of 1 - `alpha` in standard errors; infinite with too few df."""
        df, num_seeds = np.broadcast_arrays(np.asarray(df, float), np.asarray(num_seeds, float))
        # The ratio rises with the share that is explained.
        low, high, needed = np.zeros(df.shape), np.ones(df.shape), -math.log(alpha)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            enough = self._at(middle, df, num_seeds) >= needed
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        with np.errstate(divide="ignore"):
            found = np.sqrt(df * high / (1 - high))
        never = self._at(1.0, df, num_seeds) < needed
        return np.asarray(np.where(np.isnan(df), np.nan, np.where(never, np.inf, found)))
