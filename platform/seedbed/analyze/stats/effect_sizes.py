"""Effect sizes with intervals: shares of variance, and differences in standard deviations.

The limits come from those of the noncentrality parameter (Steiger 2004, Psychol. Methods 9:164):
the values at which the observed statistic is the 2.5 or 97.5 % quantile of noncentral F or t.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import optimize, special, stats

from seedbed.analyze.trials.observations import AnalysisError

_TAIL = 0.025
_MOST = 1e9  # no study has a larger noncentrality


@dataclass(frozen=True)
class Size:
    """An effect size and its 95 % interval, NaN where there is none."""

    value: float
    ci_low: float
    ci_high: float


def partial_eta_sq(f: float, df: float, df_error: float) -> Size:
    """SS / (SS + error SS), from an F statistic."""
    if math.isnan(f) or df < 1 or df_error < 1:
        return Size(math.nan, math.nan, math.nan)
    _check(df=df, df_error=df_error)
    ends = [_f_noncentrality(f, df, df_error, tail) for tail in (1 - _TAIL, _TAIL)]
    value, low, high = (x / (x + df_error) for x in (f * df, *ends))
    return Size(value, low, high)


def partial_omega_sq(f: float, df: float, df_error: float, num_trials: int) -> Size:
    """The same without the bias of a small sample, at least 0. Olejnik & Algina 2003.

    The interval is that of the F which has this value as its partial eta squared.
    """
    if math.isnan(f) or df < 1 or df_error < 1:
        return Size(math.nan, math.nan, math.nan)
    value = max(0.0, (f - 1) * df / (f * df + num_trials - df))
    own = partial_eta_sq(value / (1 - value) * df_error / df, df, df_error)
    return Size(value, own.ci_low, own.ci_high)


def hedges_g(t: float, df: float, scale: float) -> Size:
    """A difference in standard deviations, without the bias of few degrees of freedom.

    `t` is the difference over its standard error, `scale` that error over the standard deviation
    the difference is measured in: 1 / sqrt(n) for n pairs in the SD of their differences,
    sqrt(1 / n1 + 1 / n2) for two groups. Hedges 1981 (J. Educ. Stat. 6:107).
    """
    _check(t=t, df=df, scale=scale)
    if math.isnan(t) or df < 1:
        return Size(math.nan, math.nan, math.nan)
    # Exact, not the usual 1 - 3 / (4 df - 1); with one degree of freedom it has no mean.
    correction = 1.0
    if df > 1:
        logs = special.gammaln(df / 2) - special.gammaln((df - 1) / 2)
        correction = math.exp(logs) / math.sqrt(df / 2)
    low, high = (_t_noncentrality(t, df, tail) for tail in (1 - _TAIL, _TAIL))
    factor = correction * scale
    return Size(t * factor, low * factor, high * factor)


def _f_noncentrality(f: float, df: float, df_error: float, tail: float) -> float:
    """The noncentrality at which `f` has the share `tail` below it; 0 where none does."""
    if stats.f.cdf(f, df, df_error) <= tail:
        return 0.0
    high = max(1.0, f * df)
    while stats.ncf.cdf(f, df, df_error, high) > tail and high < _MOST:
        high *= 2
    return float(
        optimize.brentq(lambda nc: stats.ncf.cdf(f, df, df_error, nc) - tail, 0, high, xtol=1e-10)
    )


def _t_noncentrality(t: float, df: float, tail: float) -> float:
    # The normal approximation brackets the root: scipy's series fails far from it.
    step = math.sqrt(1 + t**2 / (2 * df))
    low = high = t
    while not _t_share(t, df, low) > tail:
        low -= step
    while not _t_share(t, df, high) < tail:
        high += step
    return float(optimize.brentq(lambda nc: _t_share(t, df, nc) - tail, low, high, xtol=1e-10))


def _t_share(t: float, df: float, noncentrality: float) -> float:
    """P(T < t) of the noncentral t distribution."""
    share = float(stats.nct.cdf(t, df, noncentrality))
    if math.isnan(share):  # scipy's series fails far from 0: average normals over chi
        share = float(
            stats.chi.expect(
                lambda chi: stats.norm.cdf(t * chi / math.sqrt(df) - noncentrality), (df,)
            )
        )
    return share


def _check(**values: float) -> None:
    for name, value in values.items():
        if math.isinf(value) or (name != "t" and not math.isnan(value) and value <= 0):
            raise AnalysisError(f"{name} is {value!r}.", mend="Give a positive, finite number.")
