"""The power of a t test, and the smallest difference that it detects.

Power is from the noncentral t distribution. Cohen 1988, chapter 2.
"""

from __future__ import annotations

import functools
import math

from scipy import optimize, stats

from seedbed.analyze.trials.observations import AnalysisError


def t_power(difference: float, se: float, df: float, *, alpha: float = 0.05) -> float:
    """The power of a two-sided t test for a true `difference`, estimated with error `se`."""
    _positive(se=se, df=df)
    _fraction(alpha=alpha)
    critical = float(stats.t.isf(alpha / 2, df))
    shift = abs(difference) / se
    power = stats.nct.sf(critical, df, shift) + stats.nct.cdf(-critical, df, shift)
    if not math.isfinite(power):  # scipy's series fails far from 0: average normals over chi
        power = stats.chi.expect(
            lambda chi: stats.norm.cdf(shift - critical * chi / math.sqrt(df)), (df,)
        )
    return float(min(1.0, power))


def detectable_difference(
    se: float, df: float, *, power: float = 0.8, alpha: float = 0.05
) -> float:
    """The smallest true difference that the test detects with probability `power`."""
    _positive(se=se, df=df)
    _fraction(power=power, alpha=alpha)
    return se * _errors_detected(df, power, alpha)


@functools.lru_cache(maxsize=1024)  # a report asks for few degrees of freedom, many times
def _errors_detected(df: float, power: float, alpha: float) -> float:
    """The same in standard errors, to which it is proportional."""
    if power <= alpha:
        return 0.0
    high = 1.0
    while t_power(high, 1.0, df, alpha=alpha) < power:
        high *= 2
    return float(
        optimize.brentq(lambda d: t_power(d, 1.0, df, alpha=alpha) - power, 0, high, xtol=1e-12)
    )


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise AnalysisError(f"{name} is {value!r}.", mend="Give a positive number.")


def _fraction(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < 1:
            raise AnalysisError(f"{name} is {value!r}.", mend="Give a number between 0 and 1.")
