"""All that is computed of one response: means, contrasts, interactions, ANOVA and its checks."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from seedbed.analyze.numbers import Unit, unit_of
from seedbed.analyze.stats.anova import anova
from seedbed.analyze.stats.chosen_error import BLOCK as BLOCK
from seedbed.analyze.stats.chosen_error import ORDER, chosen_error, reason, shares_orders
from seedbed.analyze.stats.diagnostics import Diagnostics, diagnose
from seedbed.analyze.stats.means import contrasts, interaction_contrast, marginal_means
from seedbed.analyze.stats.missing import fragile_levels
from seedbed.analyze.trials.observations import AnalysisError
from seedbed.plan.design import Design


@dataclass(frozen=True)
class ResponseFindings:
    """One response: `means` and `contrasts` hold the rows of every factor (column `factor`).

    Contrasts also have the limits that rest on one value per seed (by_seed_low and _high), where
    the first do not. `error` is what the intervals rest on (see `chosen_error`), and `error_why`
    what is to be said of it. Means are over other seeds too. `whole_plots` says that trials share
    data orders within a seed.
    """

    unit: Unit
    means: pd.DataFrame
    contrasts: pd.DataFrame
    anova: pd.DataFrame
    interactions: pd.DataFrame
    fault: str
    diagnostics: Diagnostics | None = None
    error: str = "pooled"
    error_why: str = ""
    whole_plots: bool = False


def find_response(
    design: Design, trials: pd.DataFrame, response: str, baselines: Mapping[str, Any]
) -> ResponseFindings:
    """All tables of one response; when nothing can be computed `fault` says why."""
    factors = list(baselines)
    empty = pd.DataFrame()
    try:
        checks = diagnose(trials, response, factors, block=BLOCK)
        plots = shares_orders(trials)
        error = chosen_error(design, trials, response)
        means = [
            marginal_means(
                trials, response, factors, name, block=BLOCK, error=error, seeds="random"
            ).assign(factor=name)
            for name in factors
        ]
        differences = [
            _contrasts(trials, response, factors, name, baselines[name], error) for name in factors
        ]
        table = _anova(trials, response, factors, plots)
        crossed = [
            interaction_contrast(trials, response, a, b, block=BLOCK, factors=factors, error=error)
            for a, b in itertools.combinations(factors, 2)
        ]
        interactions = [frame.assign(a=frame.attrs["a"], b=frame.attrs["b"]) for frame in crossed]
    except AnalysisError as fault:
        unit = unit_of(design.metric(response), _floats(trials[response]))
        return ResponseFindings(unit, empty, empty, empty, empty, fault.what)
    joined = pd.concat(differences, ignore_index=True)
    widths = (joined["ci_high"] - joined["ci_low"]) / 2
    return ResponseFindings(
        unit=unit_of(design.metric(response), trials[response].astype(float), widths),
        means=pd.concat(means, ignore_index=True),
        contrasts=joined,
        anova=table,
        interactions=pd.concat(interactions, ignore_index=True) if interactions else empty,
        fault="",
        diagnostics=checks,
        error=error,
        error_why=reason(design, error, checks, plots),
        whole_plots=plots,
    )


def _anova(trials: pd.DataFrame, response: str, factors: list[str], plots: bool) -> pd.DataFrame:
    if plots:
        try:
            return anova(trials, response, factors, block=BLOCK, whole_plot=[BLOCK, ORDER])
        except AnalysisError:  # too few orders are left to be units
            pass
    return anova(trials, response, factors, block=BLOCK)


def _floats(column: pd.Series[Any]) -> list[float]:
    """What of a column are numbers: a table that is refused may hold anything."""
    return [float(value) for value in pd.to_numeric(column, errors="coerce")]


def _contrasts(
    trials: pd.DataFrame,
    response: str,
    factors: list[str],
    name: str,
    baseline: Any,
    error: str,
) -> pd.DataFrame:
    found = contrasts(
        trials, response, factors, of=name, baseline=baseline, block=BLOCK, error=error
    )
    fragile = fragile_levels(trials, response, factors, of=name, baseline=baseline, block=BLOCK)
    words = "fragile: its sign can flip with the values of the diverged trials"
    found["note"] = [
        "; ".join(part for part in (note, words if level in fragile else "") if part)
        for level, note in zip(found["level"], found["note"], strict=True)
    ]
    if error != "unequal":
        by_seed = contrasts(
            trials, response, factors, of=name, baseline=baseline, block=BLOCK, error="unequal"
        )
        found["by_seed_low"], found["by_seed_high"] = by_seed["ci_low"], by_seed["ci_high"]
    return found.assign(factor=name, baseline=baseline)
