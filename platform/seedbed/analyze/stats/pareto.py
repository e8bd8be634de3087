"""Accuracy against cost: the Pareto front with its uncertainty, and accuracy per device-hour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from seedbed.analyze.stats.shared_columns import with_shared
from seedbed.analyze.trials.observations import (
    AnalysisError,
    Floats,
    completed,
    observe,
    require_column,
    several_names,
)

_CONFIDENCE = 0.95


def pareto(
    trials: pd.DataFrame,
    maximise: str | Sequence[str] = (),
    minimise: str | Sequence[str] = (),
) -> pd.Series[bool]:
    """A mask of the rows on the Pareto front, indexed as `trials`.

    A row is off the front when another is at least as good in every column and better in one;
    equal rows are on it together. Trials that did not complete, or lack a value, are never on it.
    """
    up = [maximise] if isinstance(maximise, str) else list(maximise)
    down = [minimise] if isinstance(minimise, str) else list(minimise)
    if not up and not down:
        raise AnalysisError(
            "Nothing to maximise or minimise was named.", mend="Name at least one column."
        )
    for name in (*up, *down):
        require_column(trials, name)
    values = [[_number(value, name) for value in trials[name]] for name in (*up, *down)]
    signs = np.array([1.0] * len(up) + [-1.0] * len(down))
    points = np.array(values, dtype=float).T * signs
    if np.isinf(points).any():
        raise AnalysisError("A value is infinite.", mend="Give such a trial its status, no value.")
    known = completed(trials) & ~np.isnan(points).any(axis=1)
    mask = known.copy()
    mask[known] = _front(points[known])
    return pd.Series(mask, index=trials.index, name="pareto")


def pareto_membership(
    trials: pd.DataFrame,
    factors: Sequence[str],
    *,
    maximise: Sequence[str] = (),
    minimise: Sequence[str] = (),
    block: str = "seed",
    num_resamples: int = 2_000,
) -> pd.DataFrame:
    """How often each cell is on the Pareto front when seeds are resampled.

    One row per cell with a completed trial: the factors, num_trials, the mean of every named
    column, on_front (of the means) and probability: the share of seeded bootstrap draws of whole
    seeds in which the cell's mean is on the front. With one seed the probability is NaN with a
    note; a draw that leaves a cell without a trial does not count for that cell.
    """
    names = list(several_names(factors, "factors"))
    columns = [
        *several_names(maximise, "maximise"),
        *several_names(minimise, "minimise"),
    ]
    require_column(trials, block)
    observed = [observe(trials, column, names, block) for column in columns]
    if not observed:
        raise AnalysisError("Nothing to maximise or minimise was named.")
    done = trials[completed(trials)].dropna(subset=columns)
    if done.empty:
        raise AnalysisError("No completed trial has all of the values.", mend="Run the study.")
    cells = done.groupby(names, observed=True, sort=True)
    table = cells[columns].mean().astype(float)
    table.insert(0, "num_trials", cells.size())
    which = cells.ngroup().to_numpy()
    table = table.reset_index()
    table["on_front"] = pareto(table, maximise=maximise, minimise=minimise)
    seeds, codes = np.unique(done[block].astype(str), return_inverse=True)
    table["probability"] = math.nan
    table["note"] = ""
    if len(seeds) < 2:
        table["note"] = "one seed: no probability"
        return with_shared(table, estimate="probability")
    signs = np.array([1.0] * len(maximise) + [-1.0] * len(minimise))
    values = done[columns].to_numpy(dtype=float) * signs
    grid = np.zeros((len(table), len(seeds), len(columns)))
    counts = np.zeros((len(table), len(seeds)))
    np.add.at(grid, (which, codes), values)
    np.add.at(counts, (which, codes), 1)
    draws = np.random.default_rng(0).multinomial(
        len(seeds), np.full(len(seeds), 1 / len(seeds)), size=num_resamples
    )
    table["probability"] = _share_on_front(grid, counts, draws.astype(float))
    if len(seeds) == 2:
        table["note"] = "two seeds: three different draws only"
    return with_shared(table, estimate="probability")


def _share_on_front(grid: Floats, counts: Floats, draws: Floats) -> Floats:
    """The share of bootstrap draws in which each cell's mean is on the front [cells]: of `grid`
    [cells, seeds, k] sums, `counts` [cells, seeds] trials, `draws` [r, seeds] copies of each
    seed."""
    hits, tries = np.zeros(len(grid)), np.zeros(len(grid))
    for draw in draws:
        num = counts @ draw
        known = num > 0
        means = np.einsum("csk,s->ck", grid[known], draw) / num[known, None]
        hits[known] += _front(means)
        tries[known] += 1
    share: Floats = np.where(tries > 0, hits / np.maximum(tries, 1), np.nan)
    return share


def _front(points: Floats) -> NDArray[np.bool_]:
    """Which `points` [n, k] are not dominated; larger is better in every column."""
    if points.shape[1] != 2:
        beaten = [
            ((points >= own).all(axis=1) & (points > own).any(axis=1)).any() for own in points
        ]
        return ~np.array(beaten, dtype=bool)
    # By the first column, best first: a point is dominated if one before it has a better second.
    line = np.lexsort((-points[:, 1], -points[:, 0]))
    first, second = points[line, 0], points[line, 1]
    best = np.maximum.accumulate(second)
    starts = np.searchsorted(-first, -first, side="left")  # the first of those equal in `first`
    before = np.where(starts > 0, best[starts - 1], -np.inf)
    on_front = np.zeros(len(points), dtype=bool)
    on_front[line] = (second > before) & (second >= second[starts])
    return on_front


def _number(value: Any, name: str) -> float:
    if value is None or value is pd.NA:
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise AnalysisError(
            f"'{name}' holds {value!r}, which is no number.", mend="Give missing trials no value."
        ) from None


@dataclass(frozen=True)
class Ratio:
    """A ratio of two means with its 95 % confidence set.

    `shape` is "interval" (ci_low to ci_high), "outside" (everything except between ci_low and
    ci_high), "everything" or "none"; `words` says it.
    """

    value: float
    ci_low: float
    ci_high: float
    shape: str
    words: str


def fieller(top: Floats | Sequence[float], bottom: Floats | Sequence[float]) -> Ratio:
    """mean(top) / mean(bottom) of pairs, as accuracy and device-hours by seed [n].

    All ratios r for which the t test of mean(top - r bottom) = 0 does not reject: unbounded as soon
    as the bottom's mean cannot be told from 0. Fieller 1954 (JRSS B 16:175).
    """
    a, b = np.asarray(top, dtype=float), np.asarray(bottom, dtype=float)
    if a.ndim != 1 or a.shape != b.shape or not np.isfinite([a, b]).all() or len(a) == 0:
        raise AnalysisError("Top and bottom must be finite numbers in pairs.")
    nan = math.nan
    value = float(a.mean() / b.mean()) if b.mean() != 0 else nan
    if len(a) < 2:
        return Ratio(value, nan, nan, "none", "one seed: no interval")
    n = len(a)
    q = float(stats.t.ppf((1 + _CONFIDENCE) / 2, n - 1)) ** 2 / n
    (saa, sab), (_, sbb) = np.cov(a, b)
    # (mean a - r mean b)^2 <= q var(a - r b): a quadratic inequality in r.
    square = float(b.mean() ** 2 - q * sbb)
    linear = float(a.mean() * b.mean() - q * sab)
    constant = float(a.mean() ** 2 - q * saa)
    inner = linear**2 - square * constant
    if square > 0:
        root = math.sqrt(max(inner, 0.0))
        low, high = (linear - root) / square, (linear + root) / square
        return Ratio(value, low, high, "interval", f"{low:.4g} to {high:.4g}")
    why = "the mean below the line cannot be told from 0"
    if inner <= 0 or square == 0:
        return Ratio(value, -math.inf, math.inf, "everything", f"unbounded, any value: {why}")
    root = math.sqrt(inner)
    low, high = sorted(((linear - root) / square, (linear + root) / square))
    words = f"unbounded, all values except those between {low:.4g} and {high:.4g}: {why}"
    return Ratio(value, low, high, "outside", words)


def per_device_hour(
    trials: pd.DataFrame, response: str, cost: str, factors: Sequence[str], *, block: str = "seed"
) -> pd.DataFrame:
    """Response per unit of cost in each cell, with Fieller's 95 % interval over its trials.

    Columns: the factors, num_trials, ratio, ci_low, ci_high, note. An unbounded confidence set has
    NaN limits and the note says in words what it is.
    """
    for column in (response, cost):
        observe(trials, column, factors, block)
    done = trials[completed(trials)].dropna(subset=[response, cost])
    rows = []
    for cell, own in done.groupby(list(factors), observed=True, sort=True):
        confidence = fieller(list(own[response].astype(float)), list(own[cost].astype(float)))
        bounded = confidence.shape == "interval" and len(own) > 2
        note = "" if bounded else confidence.words
        if confidence.shape == "interval" and len(own) == 2:
            note = "two seeds: an interval needs three"
        low, high = (confidence.ci_low, confidence.ci_high) if bounded else (math.nan, math.nan)
        rows.append((*cell, len(own), confidence.value, low, high, note))
    columns = [*factors, "num_trials", "ratio", "ci_low", "ci_high", "note"]
    table = pd.DataFrame(rows, columns=columns)
    return with_shared(table, estimate="ratio", conf_low="ci_low", conf_high="ci_high")
