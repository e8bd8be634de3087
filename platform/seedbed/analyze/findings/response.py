"""All that is computed of one response: means, contrasts, interactions, ANOVA and its checks."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from seedbed.analyze.numbers import Unit, unit_of
from seedbed.analyze.stats.anova import anova
from seedbed.analyze.stats.chosen_error import BLOCK as BLOCK
from seedbed.analyze.stats.chosen_error import (
    ORDER,
    RESIDUAL,
    block_of,
    chosen_error,
    reason,
    shares_orders,
)
from seedbed.analyze.stats.comparison import Comparison, adjusted
from seedbed.analyze.stats.diagnostics import Diagnostics, diagnose
from seedbed.analyze.stats.fit import Fit
from seedbed.analyze.stats.looked import Looked
from seedbed.analyze.stats.means import crossed_contrasts, level_contrasts, marginal_means
from seedbed.analyze.stats.missing import fragile_levels
from seedbed.analyze.trials.observations import AnalysisError, observe
from seedbed.plan.design import Design


@dataclass(frozen=True)
class ResponseFindings:
    """One response: `means` (column `factor`) and `contrasts` are those of every factor.

    `simple_effects` and `interactions` are those of every pair of factors. `error` is what the
    intervals rest on (see `chosen_error`), and `error_why` what is to be said of it. Means are
    over other seeds too. `whole_plots` says that trials share data orders within a seed.
    """

    unit: Unit
    means: pd.DataFrame
    contrasts: Sequence[Comparison]
    simple_effects: Sequence[Comparison]
    interactions: Sequence[Comparison]
    anova: pd.DataFrame
    fault: str
    diagnostics: Diagnostics | None = None
    error: str = "pooled"
    error_why: str = ""
    whole_plots: bool = False


def find_response(
    design: Design,
    trials: pd.DataFrame,
    response: str,
    baselines: Mapping[str, Any],
    looked: Looked | None = None,
) -> ResponseFindings:
    """All tables of one response; when nothing can be computed `fault` says why.

    Intervals and p values of means, contrasts and interactions are those of `looked`, if given.
    """
    factors, block = list(baselines), block_of(design)
    try:
        checks = diagnose(trials, response, factors, block=block, order=design.order)
        plots = shares_orders(trials)
        error = chosen_error(design, trials, response)
        means = [
            marginal_means(
                trials,
                response,
                factors,
                name,
                block=block,
                order=design.order,
                error=error,
                seeds="random" if block else "fixed",
            )
            for name in factors
        ]
        fit = Fit(observe(trials, response, factors, block), design.order, error)
        contrasts = [
            one
            for name in factors
            for one in _contrasts(fit, trials, name, baselines[name], looked)
        ]
        table = _anova(trials, response, factors, plots, design.order, block, error)
        pairs = itertools.combinations(factors, 2) if design.order > 1 else ()
        by_pair = [crossed_contrasts(fit.seen, a, b, error) for a, b in pairs]
        if looked is not None:
            means = [looked.means(table) for table in means]
            by_pair = [
                (adjusted(looked.seen(crossed), "holm"), adjusted(looked.seen(simple), "holm"))
                for crossed, simple in by_pair
            ]
    except AnalysisError as fault:
        unit = unit_of(design.metric(response), _floats(trials[response]))
        return ResponseFindings(unit, pd.DataFrame(), (), (), (), pd.DataFrame(), fault.what)
    half_widths = [one.half_width for one in contrasts]
    return ResponseFindings(
        unit=unit_of(design.metric(response), trials[response].astype(float), half_widths),
        means=pd.concat(means, keys=factors, names=["factor"]).reset_index("factor"),
        contrasts=contrasts,
        simple_effects=[one for _, simple_effects in by_pair for one in simple_effects],
        interactions=[one for interactions, _ in by_pair for one in interactions],
        anova=table,
        fault="",
        diagnostics=checks,
        error=error,
        error_why=reason(design, error, checks, plots),
        whole_plots=plots,
    )


def _anova(
    trials: pd.DataFrame,
    response: str,
    factors: list[str],
    plots: bool,
    order: int,
    block: str | None,
    error: str,
) -> pd.DataFrame:
    if plots:
        unit = block or BLOCK
        try:
            return anova(
                trials, response, factors, block=unit, order=order, whole_plot=[unit, ORDER]
            )
        except AnalysisError:  # too few orders are left to be units
            pass
    kind = error if error == RESIDUAL else "pooled"
    return anova(trials, response, factors, block=block, order=order, error=kind)


def _floats(column: pd.Series[Any]) -> list[float]:
    """What of a column are numbers: a table that is refused may hold anything."""
    return [float(value) for value in pd.to_numeric(column, errors="coerce")]


def _contrasts(
    fit: Fit, trials: pd.DataFrame, factor: str, baseline: Any, looked: Looked | None
) -> list[Comparison]:
    """The levels of one factor against its baseline; a family of p values (Holm)."""
    seen = fit.seen
    fragile = fragile_levels(
        trials,
        seen.response,
        seen.factors,
        of=factor,
        baseline=baseline,
        block=seen.block,
        order=fit.order,
    )
    words = "fragile: its sign can flip with the values of the diverged trials"

    def against_baseline(fit: Fit) -> list[Comparison]:
        found = level_contrasts(fit, factor, baseline, common=True)
        return found if looked is None else looked.seen(found)

    comparisons = [
        one.noted(words if one.level in fragile else "")
        for one in adjusted(against_baseline(fit), "holm")
    ]
    if fit.kind == "unequal" or seen.block is None:
        return comparisons
    by_seed = against_baseline(Fit(seen, fit.order, "unequal"))
    return [
        replace(one, by_seed_low=own.conf_low, by_seed_high=own.conf_high)
        for one, own in zip(comparisons, by_seed, strict=True)
    ]
