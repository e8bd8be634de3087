"""Intervals and p values that hold at every look, however often one looks and whenever one stops.

A t statistic of n seeds is weighed by how much likelier it is where the effect, in standard
deviations, is drawn from a normal distribution worth `prior` seeds, than where there is none. That
ratio has mean 1 where there is none and grows by one seed after the other to 1 / alpha with a
probability of alpha at most (Ville's inequality): so the values for which it stays below are an
interval which holds at all looks together. Lindon, Ham, Tingley & Bojinov 2022 ("Anytime-Valid
Inference in Linear Models", arXiv 2210.08589), where `prior` is g; exact for a model whose errors
are normal and alike (of two cells within seeds, whatever their variances).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from seedbed.analyze.stats.comparison import Estimate

Floats = NDArray[np.float64]
_CONFIDENCE = 0.95
# Seeds that a prior may be worth: a search is bounded by both ends, and ends at neither.
_LEAST, _MOST = 1e-6, 1e6


def log_evidence(t: ArrayLike, df: ArrayLike, num_seeds: ArrayLike, prior: float) -> Floats:
    """The logarithm of the ratio, against an effect of 0, of t statistics of `num_seeds` seeds."""
    t2, df = np.square(np.asarray(t, float)), np.asarray(df, float)
    shrunk = prior / (prior + np.asarray(num_seeds, float))
    apart = np.log1p(t2 / df) - np.log1p(shrunk * t2 / df)
    found: Floats = 0.5 * np.log(shrunk) + 0.5 * (df + 1) * apart
    return found


def half_width(df: ArrayLike, num_seeds: ArrayLike, prior: float, alpha: float = 0.05) -> Floats:
    """Half of the interval of 1 - `alpha` in standard errors; infinite with too few df."""
    df = np.asarray(df, float)
    shrunk = prior / (prior + np.asarray(num_seeds, float))
    share = (shrunk * alpha**2) ** (1 / (df + 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.sqrt(df * (1 - share) / np.maximum(share - shrunk, 0.0))
    return found


def prior_seeds(num_seeds: float, df: float, alpha: float = 0.05) -> float:
    """The prior that makes the interval shortest when `num_seeds` have run, with `df` then.

    Chosen before the first look: one that follows the trials breaks the guarantee.
    """
    low, high = math.log(_LEAST), math.log(min(_MOST, 100 * num_seeds))
    steps = np.linspace(low, high, 400)
    widths = [float(half_width(df, num_seeds, math.exp(step), alpha)) for step in steps]
    best = int(np.argmin(widths))
    ends = steps[max(best - 1, 0)], steps[min(best + 1, len(steps) - 1)]

    def width(log_prior: float) -> float:
        return float(half_width(df, num_seeds, math.exp(log_prior), alpha))

    found = optimize.minimize_scalar(width, bounds=ends, method="bounded")
    return math.exp(found.x)


def anytime_interval(
    estimate: Estimate, num_seeds: int, prior: float, level: float = _CONFIDENCE
) -> tuple[float, float]:
    """The interval of confidence `level` at all looks together; NaN where there is no error."""
    if math.isnan(estimate.std_error):
        return math.nan, math.nan
    half = float(half_width(estimate.df, num_seeds, prior, 1 - level)) * estimate.std_error
    return estimate.estimate - half, estimate.estimate + half


def anytime_p(estimate: Estimate, num_seeds: int, prior: float, null: float = 0.0) -> float:
    """The two-sided p value of `null`, which at no look may fall under alpha more often."""
    if math.isnan(estimate.std_error):
        return math.nan
    t = (estimate.estimate - null) / estimate.std_error
    return min(1.0, math.exp(-float(log_evidence(t, estimate.df, num_seeds, prior))))


def anytime_p_against(
    estimate: Estimate, num_seeds: int, prior: float, direction: str, margin: float
) -> float:
    """The p of a claim that says "above" or "below"; of "within" the larger of two."""
    if math.isnan(estimate.std_error):
        return math.nan
    if direction == "within":
        sides = (("above", -margin), ("below", margin))
        return max(anytime_p_against(estimate, num_seeds, prior, *side) for side in sides)
    there = estimate.estimate > margin if direction == "above" else estimate.estimate < margin
    return anytime_p(estimate, num_seeds, prior, margin) if there else 1.0
