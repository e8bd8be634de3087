"""What to run next, and what it would cost: seeds against precision, and the open questions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from seedbed.analyze.stats.comparison import Comparison
from seedbed.analyze.stats.error_term import MIN_POOLED_DF
from seedbed.analyze.stats.fit import Fit
from seedbed.analyze.trials.observations import AnalysisError, completed, observe
from seedbed.plan.power import detectable_difference

COLUMNS = (
    "effect", "num_seeds", "df", "se", "half_width", "detectable_difference",
    "further_device_hours", "note",
)  # fmt: skip
_FEWEST_SEEDS = 3  # to recommend
_LEAST_REACH = 10  # seeds that the table goes to, at least


@dataclass(frozen=True)
class Outlook:
    """`table`: for every effect and number of seeds, what the study would see (columns COLUMNS).

    `detectable_difference` is found with a power of 80 %. `hours_per_seed` is what one more seed
    of every cell costs in device-hours, by what the completed trials took; NaN where none says.
    """

    table: pd.DataFrame
    num_seeds: int
    hours_per_seed: float
    hours_missing: float


def look_ahead(
    trials: pd.DataFrame,
    response: str,
    factors: Sequence[str],
    comparisons: Sequence[Comparison],
    *,
    block: str | None = "seed",
    cost: str = "",
    error: str = "pooled",
    order: int = 2,
) -> Outlook:
    """What further seeds would bring, from the errors of `comparisons`.

    `block` is what they are made within, and `error` what they rest on: their degrees of freedom
    grow with it. An effect's error is that of its least certain comparison; it falls with the root
    of the seeds.
    """
    done = completed(trials)
    num_seeds = int(trials.loc[done, "seed"].nunique())
    per_cell, missing = _hours(trials, factors, cost)
    errors = _errors(comparisons)
    fit = _fitted(trials, response, factors, block, order)
    rows: list[tuple[object, ...]] = []
    reach = _reach(num_seeds)
    num_cells = len(trials[list(factors)].drop_duplicates())
    for effect, (se, df) in errors.items():
        if num_seeds < 2 or fit is None:
            break
        for seeds in reach:
            grown = seeds / num_seeds
            new_df = _df(fit, num_cells, df, seeds, num_seeds, error)
            if seeds == 2 and new_df < MIN_POOLED_DF:
                continue
            new_se = se / math.sqrt(grown)
            half = float(stats.t.ppf(0.975, new_df)) * new_se
            least = detectable_difference(new_se, new_df)
            price = (seeds - num_seeds) * per_cell
            rows.append((effect, seeds, new_df, new_se, half, least, price, ""))
    if not rows:
        nan = math.nan
        one = "one run a cell" if block is None else "one seed"
        words = f"{one}: no error to plan with" if num_seeds < 2 else "the error is not known"
        rows = [(name, num_seeds, nan, nan, nan, nan, nan, words) for name in factors]
    return Outlook(pd.DataFrame(rows, columns=list(COLUMNS)), num_seeds, per_cell, missing)


def _errors(comparisons: Sequence[Comparison]) -> dict[str, tuple[float, float]]:
    """By effect, the largest standard error of its comparisons, and its degrees of freedom."""
    errors: dict[str, tuple[float, float]] = {}
    for one in comparisons:
        if one.has_interval and one.std_error > errors.get(one.term, (0.0,))[0]:
            errors[one.term] = (one.std_error, one.df)
    return errors


def _fitted(
    trials: pd.DataFrame, response: str, factors: Sequence[str], block: str | None, order: int
) -> Fit | None:
    try:
        return Fit(observe(trials, response, factors, block), order)
    except AnalysisError:
        return None


def _df(fit: Fit, num_cells: int, df: float, seeds: int, now: int, error: str) -> float:
    """Of the error with `seeds` complete seeds; if it is not pooled, in step with the seeds."""
    if error != "pooled":
        return df * (seeds - 1) / (now - 1)
    rank, block = fit.basis.shape[1], fit.seen.block
    if block is None:
        return seeds * num_cells - rank
    blocks = len(fit.seen.levels[block])  # as many a seed as now
    return seeds * num_cells - (rank - blocks) - blocks * seeds / now


def _reach(num_seeds: int) -> list[int]:
    """From the present seeds to twice as many, about a dozen steps of it."""
    first, last = max(2, num_seeds), max(_LEAST_REACH, 2 * num_seeds)
    return list(range(first, last + 1, 1 + (last - first) // 12))


def _hours(trials: pd.DataFrame, factors: Sequence[str], cost: str) -> tuple[float, float]:
    """Device-hours of one seed of all cells, and of the planned trials that are missing."""
    if not cost or cost not in trials.columns:
        return math.nan, math.nan
    done = completed(trials)
    values = trials[cost].astype(float).where(done)
    if not np.isfinite(values).any():
        return math.nan, math.nan
    by_cell = values.groupby([trials[name] for name in factors], observed=True).transform("mean")
    own = by_cell.fillna(values.mean())
    num_planned = int(trials["seed"].nunique()) if "seed" in trials.columns else 1
    return float(own.sum()) / num_planned, float(own[~done].sum())


@dataclass(frozen=True)
class Step:
    """One thing to run: what, how many trials, at what price, and what it would tell."""

    what: str
    num_trials: int
    hours: float
    why: str


def next_steps(
    outlook: Outlook,
    num_missing: int,
    num_cells: int,
    further: Mapping[str, str],
    best: Sequence[str],
    *,
    is_ours: bool = True,
    paired: bool = True,
) -> list[Step]:
    """What to run next, the most pressing first.

    `further` says of each open claim, by its id, what twice the seeds would make of its interval;
    `best` names the best cells, when several were compared. A table that another trainer made
    (`is_ours` is False) has no command that goes on; runs that are not `paired` are of no seed.
    """
    hours, seeds = outlook.hours_per_seed, outlook.num_seeds
    steps, repeats = [], "seeds" if paired else "runs"

    def grown(num: int) -> str:
        return f"--seeds {num}" if is_ours else f"{num} {repeats} of every cell"

    if num_missing:
        again = "The same command again" if is_ours else "The missing runs"
        why = "the missing trials: until they are in, what rests on them is not known"
        steps.append(Step(again, num_missing, outlook.hours_missing, why))
    if 0 < seeds < _FEWEST_SEEDS:
        more = _FEWEST_SEEDS - seeds
        why = (
            f"three {repeats} are the least that carry an interval of their own for every "
            "comparison"
        )
        steps.append(Step(grown(_FEWEST_SEEDS), more * num_cells, more * hours, why))
    if further and seeds:
        parts = ", ".join(f"{name} {change}" for name, change in further.items())
        why = f"would narrow the intervals of what is open, each to one side: {parts}"
        steps.append(Step(grown(2 * seeds), seeds * num_cells, seeds * hours, why))
    if len(best) > 1 and seeds:
        why = (
            f"{best[0]} was picked as the best of {num_cells} cells on these {repeats}, so its "
            f"mean is too high by some of the noise: only {repeats} that did not pick it can say "
            "what it is"
        )
        fresh = 2 * _FEWEST_SEEDS
        steps.append(
            Step(
                f"The best two cells on {_FEWEST_SEEDS} fresh {repeats}",
                fresh,
                fresh * hours / num_cells,
                why,
            )
        )
    return steps
