"""The power of the response at which a linear model with equal variances fits best.

Box & Cox 1964 (JRSS B 26:211).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from seedbed.analyze.stats.fit import Fit

_REACH = 5.0  # no realistic response needs a power beyond it
_DROP = 0.5 * float(stats.chi2.ppf(0.95, 1))


@dataclass(frozen=True)
class BoxCox:
    """The best power with its 95 % profile-likelihood interval; NaN where the note says why.

    1 is no transform, 0 the logarithm. A limit of -5 or 5 is the end of the search.
    """

    value: float
    ci_low: float
    ci_high: float
    note: str


def box_cox(fit: Fit) -> BoxCox:
    """The power for the response of `fit`, with its factors and block as they are."""
    nan = float("nan")
    raw = fit.seen.y + fit.seen.centre
    if fit.error.refusal:
        return BoxCox(nan, nan, nan, fit.error.refusal)
    if raw.min() <= 0:
        return BoxCox(nan, nan, nan, "the response is not positive everywhere")

    def drop(power: float) -> float:
        return best - profile(fit, power)

    grid = np.linspace(-_REACH, _REACH, 101)
    at = float(grid[int(np.argmax([profile(fit, power) for power in grid]))])
    bounds = (max(-_REACH, at - 0.2), min(_REACH, at + 0.2))
    value = float(
        optimize.minimize_scalar(
            lambda power: -profile(fit, power), bounds=bounds, method="bounded",
            options={"xatol": 1e-9},
        ).x
    )  # fmt: skip
    best = profile(fit, value)
    low, high = (
        end if drop(end) <= _DROP else float(
            optimize.brentq(lambda power: drop(power) - _DROP, *sorted((end, value)), xtol=1e-9)
        )
        for end in (-_REACH, _REACH)
    )  # fmt: skip
    return BoxCox(value, low, high, "")


def profile(fit: Fit, power: float) -> float:
    """The profile log-likelihood of a power, up to a constant."""
    raw = fit.seen.y + fit.seen.centre
    logs = np.log(raw)
    scaled = power * (logs - logs.mean())
    # (x^power - 1) / power over the geometric mean's power: exact also next to power 0.
    changed = (logs - logs.mean()) if power == 0 else np.expm1(scaled) / power
    rest = changed - fit.basis @ (fit.basis.T @ changed)
    return -0.5 * len(raw) * math.log(float(rest @ rest) / len(raw))
