"""Comparisons that hold together: Tukey's for all pairs, Dunnett's against one baseline.

Both are exact for independent means of equal variance; Tukey-Kramer stays on the safe side with
unequal numbers of trials. Dunnett's probabilities are integrals, never simulations: the same
correlations give the same digits.
Tukey 1953; Kramer 1956; Hayter 1984 (Ann. Stat. 12:61); Dunnett 1955 (JASA 50:1096).
"""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize, stats

from seedbed.analyze.trials.observations import Floats

_CONFIDENCE = 0.95
_NODES = 200  # Gauss-Legendre nodes along each of the two axes
_POINTS = 20011  # of the lattice; its error is about 1e-5
_PRODUCT_TOLERANCE = 1e-9


def tukey_p(t: float, df: float, num_means: int) -> float:
    """P that the largest of all pairs' |t| is at least `t`, from the studentised range."""
    found = float(stats.studentized_range.sf(abs(t) * math.sqrt(2), num_means, df))
    single = float(2 * stats.t.sf(abs(t), df))
    num_pairs = num_means * (num_means - 1) / 2
    # Far in the tail the integral's rounding passes its value; these bounds always hold.
    return min(max(found, single), 1.0, num_pairs * single)


def tukey_quantile(df: float, num_means: int) -> float:
    """How many standard errors a simultaneous 95 % interval reaches to each side."""
    if num_means == 2:
        return float(stats.t.ppf((1 + _CONFIDENCE) / 2, df))
    return float(stats.studentized_range.ppf(_CONFIDENCE, num_means, df)) / math.sqrt(2)


def dunnett_p(t: float, df: float, correlation: Floats) -> float:
    """P that the largest |t| of the comparisons, correlated [k, k], is at least `t`."""
    single = float(2 * stats.t.sf(abs(t), df))
    found = 1 - _all_within(abs(t), df, correlation)
    return min(max(found, single), 1.0, len(correlation) * single)


def dunnett_quantile(df: float, correlation: Floats) -> float:
    """How many standard errors a simultaneous 95 % interval reaches to each side."""
    low = float(stats.t.ppf((1 + _CONFIDENCE) / 2, df))
    num = len(correlation)
    if num == 1:
        return low
    high = float(stats.t.isf((1 - _CONFIDENCE) / 2 / num, df))
    return float(
        optimize.brentq(
            lambda c: _all_within(c, df, correlation) - _CONFIDENCE, low, high * 1.001, xtol=1e-10
        )
    )


def _all_within(bound: float, df: float, correlation: Floats) -> float:
    """P(all |T_i| <= bound) of the multivariate t with `df` degrees of freedom."""
    if len(correlation) == 1:
        return float(1 - 2 * stats.t.sf(bound, df))
    factor = _product_factor(correlation)
    if factor is None:
        return _lattice(bound, df, correlation)
    return _quadrature(bound, df, factor)


def _product_factor(correlation: Floats) -> Floats | None:
    """lambda [k] with correlation[i, j] = lambda_i lambda_j, as with one shared baseline."""
    num = len(correlation)
    if num == 2:
        root = math.sqrt(abs(correlation[0, 1]))
        factor = np.array([root, math.copysign(root, correlation[0, 1])])
    else:
        squares = np.empty(num)
        for i in range(num):
            j, k = (m for m in range(num) if m != i) if num == 3 else _two_others(num, i)
            if abs(correlation[j, k]) < _PRODUCT_TOLERANCE:
                return None
            squares[i] = correlation[i, j] * correlation[i, k] / correlation[j, k]
        if (squares < 0).any():
            return None
        factor = np.sqrt(squares) * np.where(correlation[0] < 0, -1.0, 1.0)
    outer = np.outer(factor, factor)
    np.fill_diagonal(outer, 1.0)
    is_product = np.abs(outer - correlation).max() < _PRODUCT_TOLERANCE
    return factor if is_product and (np.abs(factor) < 1 - 1e-6).all() else None


def _two_others(num: int, i: int) -> tuple[int, int]:
    return (i + 1) % num, (i + 2) % num


def _quadrature(bound: float, df: float, factor: Floats) -> float:
    """Over the shared normal z and the error's scale s = chi / sqrt(df)."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    z, dz = 9.0 * nodes, 9.0 * weights * stats.norm.pdf(9.0 * nodes)
    low, high = stats.chi.ppf(1e-15, df), stats.chi.isf(1e-15, df)
    chi = low + (high - low) * (nodes + 1) / 2
    ds = (high - low) / 2 * weights * stats.chi.pdf(chi, df)
    edge = (bound * chi / math.sqrt(df))[:, None]
    inside = np.ones((_NODES, _NODES))
    for weight in factor:
        own = math.sqrt(1 - weight**2)
        shift = weight * z[None, :]
        inside *= stats.norm.cdf((edge - shift) / own) - stats.norm.cdf((-edge - shift) / own)
    return float(ds @ inside @ dz / (ds.sum() * dz.sum()))


def _lattice(bound: float, df: float, correlation: Floats) -> float:
    """For correlations of any kind: Genz & Bretz 1999 on a fixed Richtmyer lattice."""
    num = len(correlation)
    roots = np.sqrt(np.array(_primes(num)))
    points = np.abs(2 * np.mod(np.outer(np.arange(1, _POINTS + 1), roots), 1.0) - 1)
    points = np.clip(points, 1e-12, 1 - 1e-12)
    triangle = np.linalg.cholesky(correlation + 1e-10 * np.eye(num))
    edge = bound * stats.chi.ppf(points[:, 0], df) / math.sqrt(df)
    product = np.ones(_POINTS)
    drawn = np.zeros((_POINTS, num))
    for i in range(num):
        shift = drawn[:, :i] @ triangle[i, :i]
        low = stats.norm.cdf((-edge - shift) / triangle[i, i])
        wide = stats.norm.cdf((edge - shift) / triangle[i, i]) - low
        product *= wide
        if i + 1 < num:
            drawn[:, i] = stats.norm.ppf(np.clip(low + points[:, i + 1] * wide, 1e-16, 1 - 1e-16))
    return float(product.mean())


def _primes(num: int) -> list[int]:
    found: list[int] = []
    candidate = 2
    while len(found) < num:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return found
