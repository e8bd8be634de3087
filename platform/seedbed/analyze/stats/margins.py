"""Tests against a margin: superiority, non-inferiority and equivalence."""

from __future__ import annotations

import math

from scipy import stats

from seedbed.analyze.stats.comparison import Estimate


def interval(estimate: Estimate, level: float) -> tuple[float, float]:
    """The t interval of confidence `level`; NaN where there is no error."""
    if math.isnan(estimate.std_error):
        return math.nan, math.nan
    half = float(stats.t.ppf((1 + level) / 2, estimate.df)) * estimate.std_error
    return estimate.estimate - half, estimate.estimate + half


def lies(low: float, high: float, direction: str, margin: float) -> bool:
    """Whether the whole interval lies in the claimed region."""
    if direction == "above":
        return low > margin
    if direction == "below":
        return high < margin
    return -margin < low and high < margin


def lies_outside(low: float, high: float, direction: str, margin: float) -> bool:
    """Whether the whole interval lies outside the claimed region."""
    if direction == "above":
        return high < margin
    if direction == "below":
        return low > margin
    return low > margin or high < -margin


def p_against(estimate: Estimate, direction: str, margin: float) -> float:
    """The one-sided p of "above" or "below"; for "within" the larger of two (Schuirmann 1987)."""
    if math.isnan(estimate.std_error):
        return math.nan
    above = float(stats.t.sf((estimate.estimate - margin) / estimate.std_error, estimate.df))
    if direction == "above":
        return above
    below = float(stats.t.cdf((estimate.estimate - margin) / estimate.std_error, estimate.df))
    if direction == "below":
        return below
    low_side = float(stats.t.sf((estimate.estimate + margin) / estimate.std_error, estimate.df))
    return max(low_side, below)
