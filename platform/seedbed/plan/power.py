"""The power of a t test, and the smallest difference that it detects, without scipy.

A t test's power is that of a normal one, averaged over the standard errors that the sample may
show: chi with the test's degrees of freedom. The average is a sum over even steps of the logarithm,
which converges as fast as any rule for such functions. Cohen 1988, chapter 2; Trefethen & Weideman
2014 (SIAM Review 56:385).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from seedbed.errors import AnalysisError

Floats = NDArray[np.float64]
# Of the exponent where a density is cut off, and of a root in standard errors.
_TAIL, _ROOT = 40.0, 1e-12
_FINEST = 2e-5  # of a step: a shift of 30,000 standard errors needs no finer one


def t_power(difference: float, se: float, df: float, *, alpha: float = 0.05) -> float:
    """The power of a two-sided t test for a true `difference`, estimated with error `se`."""
    _positive(se=se, df=df)
    _fraction(alpha=alpha)
    shift, critical = abs(difference) / se, t_critical(df, alpha)
    found = _average(lambda u: upper(critical * u - shift) + upper(critical * u + shift), df, shift)
    return min(1.0, found)


def side_power(difference: float, se: float, df: float, *, alpha: float = 0.05) -> float:
    """How often the two-sided interval of 1 - `alpha` lies above 0, for a true `difference`."""
    _positive(se=se, df=df)
    _fraction(alpha=alpha)
    shift, critical = difference / se, t_critical(df, alpha)
    return min(1.0, _average(lambda u: upper(critical * u - shift), df, abs(shift)))


def within_power(
    difference: float, margin: float, se: float, df: float, *, alpha: float = 0.05
) -> float:
    """How often the interval of 1 - 2 `alpha` lies within `margin` of 0 (two one-sided tests).

    Schuirmann 1987 (J. Pharmacokinet. Biopharm. 15:657).
    """
    _positive(se=se, df=df, margin=margin)
    _fraction(alpha=alpha)
    critical = t_critical(df, 2 * alpha)
    low, high = ((side * margin - difference) / se for side in (-1, 1))

    def inside(u: Floats) -> Floats:
        return np.maximum(0.0, upper(low + critical * u) - upper(high - critical * u))

    return _average(inside, df, max(abs(low), abs(high)))


def detectable_difference(
    se: float, df: float, *, power: float = 0.8, alpha: float = 0.05
) -> float:
    """The smallest true difference that the test detects with probability `power`."""
    _positive(se=se, df=df)
    _fraction(power=power, alpha=alpha)
    return se * _errors_detected(df, power, alpha)


@functools.lru_cache(maxsize=4_096)  # plans and reports ask for few degrees of freedom, many times
def _errors_detected(df: float, power: float, alpha: float) -> float:
    """The same in standard errors, to which it is proportional."""
    if power <= alpha:
        return 0.0
    high = 2 * t_critical(df, alpha)
    while t_power(high, 1.0, df, alpha=alpha) < power:
        high *= 2
    return _root(lambda d: t_power(d, 1.0, df, alpha=alpha) - power, 0.0, high)


@functools.lru_cache(maxsize=4_096)
def t_critical(df: float, alpha: float) -> float:
    """What |t| exceeds with probability `alpha` where there is no difference."""

    def beyond(limit: float) -> float:
        return 2 * _average(lambda u: upper(limit * u), df, limit) - alpha

    high = 2.0
    while beyond(high) > 0:
        high *= 2
    return _root(beyond, 0.0, high)


def upper(z: Floats) -> Floats:
    """The normal distribution's upper tail."""
    return 0.5 * np.fromiter(map(math.erfc, (z / math.sqrt(2)).tolist()), float, len(z))


def _average(of: Callable[[Floats], Floats], df: float, sharpness: float) -> float:
    """The mean of `of`(u), u being chi over the root of its `df`; `of` changes within about
    1 / `sharpness` of u, relative to u."""
    step = min(0.02, 0.5 / math.sqrt(2 * df), 0.6 / max(1.0, sharpness))
    ratio, weights = _nodes(df, max(step, _FINEST))
    return float(weights @ of(ratio))


@functools.lru_cache(maxsize=256)
def _nodes(df: float, step: float) -> tuple[Floats, Floats]:
    """Values of u, and the weights of a mean over them, which sum to 1."""
    low, high = _TAIL / df + 0.5, 0.5 * math.log(2 * (_TAIL / df + 2.5))
    logs = np.arange(-low, high, step)
    exponent = df * (logs - np.expm1(2 * logs) / 2)
    density = np.exp(exponent)
    kept = exponent > -_TAIL
    return np.exp(logs[kept]), density[kept] / density.sum()


def _root(of: Callable[[float], float], low: float, high: float) -> float:
    """Where a monotonic function is 0, between two places of opposite signs.

    By false position, halving the weight of an end that stays (the Illinois rule).
    """
    at_low, at_high, side = of(low), of(high), 0
    for _ in range(200):
        if high - low < _ROOT * max(1.0, high):
            break
        middle = (low * at_high - high * at_low) / (at_high - at_low)
        here = of(middle)
        if abs(here) < 1e-14:
            return middle
        if (here > 0) == (at_high > 0):
            high, at_high = middle, here
            at_low, side = (at_low / 2, 1) if side == 1 else (at_low, 1)
        else:
            low, at_low = middle, here
            at_high, side = (at_high / 2, -1) if side == -1 else (at_high, -1)
    return (low + high) / 2


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise AnalysisError(f"{name} is {value!r}.", mend="Give a positive number.")


def _fraction(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < 1:
            raise AnalysisError(f"{name} is {value!r}.", mend="Give a number between 0 and 1.")
