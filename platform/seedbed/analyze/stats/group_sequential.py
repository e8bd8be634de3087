"""Critical values of looks that are planned: what each may spend of the error of all together.

A statistic is looked at when given shares of its information are there. How much of alpha is spent
by then is a function that is chosen before (Lan & DeMets 1983, Biometrika 70:659): like O'Brien &
Fleming 1979 little at first, or like Pocock 1977 as much at each look. The critical values follow
by integrating over the paths that have crossed none yet (Armitage, McPherson & Rowe 1969). They are
those of a normal statistic with known variance; a t statistic is held against the quantile with the
same tail (Jennison & Turnbull 2000, "Group Sequential Methods", chapter 11). With few seeds that
errs more often than alpha, the most with one value per seed (6.1 % for 5 % of eight looks from two
seeds on): so much less is spent that such studies err in alpha of cases.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import interpolate, optimize, special, stats

from seedbed.study.looks import POCOCK

Floats = NDArray[np.float64]
_NODES = 96  # of the integral over paths that go on
_FARTHEST = 8.0  # standard deviations: nothing is beyond, to the last digit of an alpha
_ALPHAS = np.geomspace(1e-6, 0.9, 36)  # at which p values are tabulated
_KNOWN = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)  # at which studies are simulated
_NUM_STUDIES = 100_000


def spent(shares: ArrayLike, alpha: float, spending: str) -> Floats:
    """How much of the two-sided `alpha` is spent when these `shares` of the information are in."""
    shares = np.asarray(shares, float)
    if spending == POCOCK:
        return np.asarray(alpha * np.log1p((math.e - 1) * shares))
    # One side has alpha / 2, of which the function is 2 (1 - Phi(z / sqrt(share))).
    return 4 * special.ndtr(special.ndtri(alpha / 4) / np.sqrt(shares))


@cache
def critical_values(shares: tuple[float, ...], alpha: float, spending: str) -> tuple[float, ...]:
    """The normal quantile that a statistic must pass at each look; `shares` rise to 1 at most."""
    to_spend = np.diff(spent(shares, alpha, spending), prepend=0.0)
    found: list[float] = []
    # Paths that go on: their values (Brownian motion at the share's time), and their density.
    at, density, before = np.zeros(1), np.ones(1), 0.0
    for share, part in zip(shares, to_spend, strict=True):
        step = math.sqrt(share - before)
        limit = _limit(at, density, step, math.sqrt(share), float(part))
        found.append(limit)
        nodes, weights = np.polynomial.legendre.leggauss(_NODES)
        reach = min(limit, _FARTHEST) * math.sqrt(share)
        new = reach * nodes
        kernel = np.exp(-0.5 * ((new[:, None] - at) / step) ** 2) / (step * math.sqrt(2 * math.pi))
        at, density, before = new, reach * weights * (kernel @ density), share
    return tuple(found)


def _limit(at: Floats, density: Floats, step: float, scale: float, part: float) -> float:
    """The critical value that paths cross with the probability `part`."""

    def left(limit: float) -> float:
        sides = (-limit * scale - at) / step, (at - limit * scale) / step
        return float((special.ndtr(sides[0]) + special.ndtr(sides[1])) @ density) - part

    if left(_FARTHEST) >= 0:  # nothing to spend that a float could tell
        return _FARTHEST
    return float(optimize.brentq(left, 0.0, _FARTHEST, xtol=1e-10))


@cache
def _null(counts: tuple[int, ...]) -> Floats:
    """Studies without an effect, one value per seed [studies, looks]: the normal quantiles with the
    tails of their t statistics."""
    values = np.random.default_rng(0).normal(size=(counts[-1], _NUM_STUDIES))
    sums, squares = values.cumsum(axis=0), (values**2).cumsum(axis=0)
    found = []
    for num in counts:
        mean = sums[num - 1] / num
        t = np.abs(mean) / np.sqrt((squares[num - 1] - num * mean**2) / (num - 1) / num)
        found.append(-special.ndtri(special.stdtr(num - 1, -t)))
    return np.array(found).T


@cache
def _inflations(counts: tuple[int, ...], spending: str) -> Floats:
    """The logarithm of how many times alpha such studies err, when it is spent: for `_KNOWN`."""
    shares, null, found = tuple(num / counts[-1] for num in counts), _null(counts), []
    for alpha in _KNOWN:
        spends = alpha
        for _ in range(4):  # the share of errors is all but proportional to what is spent
            limits = critical_values(shares, spends, spending)
            spends *= alpha / float((null > limits).any(axis=1).mean())
        # Never more than alpha, whatever the luck of these studies.
        found.append(max(0.0, math.log(alpha / spends)))
    return np.array(found)


def inflation(counts: tuple[int, ...], alpha: float, spending: str) -> float:
    """What to divide alpha by before it is spent on t statistics of so many seeds."""
    return math.exp(
        float(np.interp(math.log(alpha), np.log(_KNOWN), _inflations(counts, spending)))
    )


def t_critical_values(counts: tuple[int, ...], alpha: float, spending: str) -> tuple[float, ...]:
    """`critical_values` of looks at so many seeds, whose t statistics err in alpha of studies."""
    shares = tuple(num / counts[-1] for num in counts)
    return critical_values(shares, alpha / inflation(counts, alpha, spending), spending)


def limit_in_errors(critical: float, df: ArrayLike) -> Floats:
    """The t quantile with the tail of a normal one: half of an interval, in standard errors."""
    return np.asarray(stats.t.isf(special.ndtr(-critical), df))


def p_at_look(
    statistic: float, df: float, counts: tuple[int, ...], look: int, spending: str
) -> float:
    """The two-sided p of all looks until `look` (from 0): the least alpha that rejects by then."""
    z = -float(special.ndtri(stats.t.sf(abs(statistic), df)))
    limits, log_alphas = _table(tuple(num / counts[-1] for num in counts), look, spending)
    if z <= limits[0]:
        return 1.0
    log_spent = interpolate.PchipInterpolator(limits, log_alphas)(min(z, limits[-1]))
    p = spends = math.exp(float(log_spent))
    for _ in range(8):  # how much more it errs depends hardly on alpha
        p = min(1.0, spends * inflation(counts, p, spending))
    return p


@cache
def _table(shares: tuple[float, ...], look: int, spending: str) -> tuple[Floats, Floats]:
    """Critical values at `look` for alphas from large to small, rising; and these alphas' logs."""
    alphas = _ALPHAS[::-1]
    limits = np.array([critical_values(shares, float(a), spending)[look] for a in alphas])
    rising = np.concatenate([[True], np.diff(np.maximum.accumulate(limits)) > 0])
    return limits[rising], np.log(alphas[rising])
