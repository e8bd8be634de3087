"""Values of a folded fraction without what its halves differ by, for what compares bare cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from seedbed.analyze.stats.chosen_error import block_of
from seedbed.analyze.stats.fit import Fit
from seedbed.analyze.trials.observations import AnalysisError, Level, completed, observe
from seedbed.analyze.trials.table import HALF
from seedbed.plan.design import Design


def levelled(design: Design, trials: pd.DataFrame, response: str) -> pd.DataFrame:
    """`trials` with every half's `response` shifted to its seed's mean of both halves.

    The shifts are those of the study's own model with `block_of` as its block, so that cells of
    different halves differ by effects and noise only; what a seed's halves share stays. Where too
    few trials completed to tell the halves from effects, the half with fewer of them has no value.
    What a trial cost is left as it was paid. Studies that were not folded over are as they were.
    """
    if block_of(design) != HALF or response not in trials.columns:
        return trials
    values = _numbers(trials, response)
    parts = _parts(design, trials, response)
    if parts is None:
        halves = trials[HALF].map(_half_of)
        done = halves[completed(trials) & values.notna()]
        most = done.value_counts().index[0] if len(done) else ""
        return trials.assign(**{response: values.where(halves == most)})
    return trials.assign(**{response: values - trials[HALF].map(_shifts(parts)).fillna(0.0)})


def without_blocks(design: Design, trials: pd.DataFrame, response: str) -> pd.DataFrame:
    """`trials`, the `response` less all that trials of one block share: for means of which some
    lack a seed. Where that is not known, as `levelled`."""
    parts = _parts(design, trials, response) if response in trials.columns else None
    if parts is None:
        return levelled(design, trials, response)
    shared = trials[block_of(design)].map(parts).astype(float).fillna(0.0)
    return trials.assign(**{response: _numbers(trials, response) - shared})


def _numbers(trials: pd.DataFrame, response: str) -> pd.Series[float]:
    return pd.to_numeric(trials[response], errors="coerce").astype(float)


def _parts(design: Design, trials: pd.DataFrame, response: str) -> dict[Level, float] | None:
    """What each block differs by from the mean of all, by the study's model; None if not known."""
    block = block_of(design)
    if block is None:
        return None
    try:
        fit = Fit(observe(trials, response, list(design.factors), block), design.order)
    except AnalysisError:
        return None
    labels = fit.seen.levels[block]
    weights = [fit.cell_weights({block: n}) for n in range(len(labels))]
    centre = np.mean(weights, axis=0)
    parts = [fit.measured(own - centre)[0] for own in weights]
    return None if np.isnan(parts).any() else dict(zip(labels, parts, strict=True))


def spans_halves(trials: pd.DataFrame, cell: Sequence[str]) -> bool:
    """Whether trials of one `cell`, by these columns, are in both halves of a folded fraction."""
    if HALF not in trials.columns:
        return False
    halves = trials[HALF].map(_half_of).groupby([trials[n] for n in cell], observed=True)
    return bool((halves.nunique() > 1).any())


def num_seeds_of(labels: Sequence[object]) -> int:
    """How many seeds the labels of a block are of, halves or not."""
    return len({str(label).partition("/")[0] for label in labels})


def _half_of(label: object) -> str:
    return str(label).partition("/")[2]


def _shifts(parts: Mapping[Level, float]) -> dict[Level, float]:
    """What each block differs by from its seed's mean; a seed that has one half only takes what
    that half differs by in the seeds that have both, or between the halves' means."""
    pairs = [str(label).partition("/")[::2] for label in parts]
    table = pd.Series(list(parts.values()), index=pd.MultiIndex.from_tuples(pairs)).unstack()
    both = table.dropna()
    typical = (both if len(both) else table).mean()
    table.loc[table.isna().any(axis=1)] = typical.to_numpy()
    shifts = table.sub(table.mean(axis=1), axis=0)
    return {
        label: float(shifts[half][seed]) for label, (seed, half) in zip(parts, pairs, strict=True)
    }
