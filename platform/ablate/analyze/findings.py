"""Everything the report states about a study, computed once: the tables behind every sentence."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ablate.analyze.aliases import Alias, hidden_aliases
from ablate.analyze.columns import AnalysisError, completed, label_text
from ablate.analyze.estimates import contrasts, interaction_contrast, marginal_means
from ablate.analyze.front import pareto
from ablate.analyze.missing import fragile_levels, missing_trials
from ablate.analyze.multiplicity import adjust
from ablate.analyze.variance import anova
from ablate.analyze.wording import Unit, unit_of
from ablate.errors import nearest

COST = "cost/device_hours"
BLOCK = "seed"  # every comparison is within seeds


@dataclass(frozen=True)
class ResponseFindings:
    """One response: `means` and `contrasts` hold the rows of every factor (column `factor`)."""

    unit: Unit
    means: pd.DataFrame
    contrasts: pd.DataFrame
    anova: pd.DataFrame
    interactions: pd.DataFrame
    fault: str


@dataclass(frozen=True)
class Findings:
    """A study's analysis. `trials` has each factor's baseline as its first level."""

    design: Mapping[str, Any]
    trials: pd.DataFrame
    factors: dict[str, list[Any]]
    baselines: dict[str, Any]
    primary: ResponseFindings
    secondary: list[ResponseFindings]
    missing: pd.DataFrame
    aliases: list[Alias]
    cells: pd.DataFrame
    cost: Unit | None

    @property
    def num_completed(self) -> int:
        return len(self.trials) - len(self.missing)

    @property
    def num_seeds(self) -> int:
        """Seeds with a completed trial."""
        return int(self.trials.loc[completed(self.trials), "seed"].nunique())


def find(design: Mapping[str, Any], trials: pd.DataFrame) -> Findings:
    """The analysis of every response of `design`; the first one is primary.

    Secondary p values are adjusted together (Benjamini & Hochberg), the primary's within each
    factor (Holm). Raises AnalysisError when the design names no response or factor.
    """
    if not design.get("responses") or not design.get("factors"):
        raise AnalysisError(
            "The design names no response or no factor.", mend="Name at least one of each."
        )
    baselines = {name: _baseline(name, factor) for name, factor in design["factors"].items()}
    ordered = _baseline_first(trials, baselines)
    factors = {name: list(ordered[name].cat.categories) for name in baselines}
    responses = [_response(ordered, name, baselines) for name in design["responses"]]
    costs = [name for name in (COST, *_costs(ordered)) if name in ordered.columns]
    cost = costs[0] if costs and costs[0] != design["responses"][0] else None
    return Findings(
        design=design,
        trials=ordered,
        factors=factors,
        baselines=baselines,
        primary=responses[0],
        secondary=_adjusted_together(responses[1:]),
        missing=missing_trials(ordered, list(baselines)),
        aliases=hidden_aliases(ordered, _paths(design)),
        cells=_cells(ordered, responses[0].unit, cost, list(baselines)),
        cost=unit_of(cost, ordered[cost]) if cost else None,
    )


def _paths(design: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """What each factor sets, and what is known to move with it: said of it in its own sentence."""
    found = {}
    for name, factor in design["factors"].items():
        at = str(factor.get("at") or "")
        # A design that does not say what moves together leaves a bundle's fields to be found.
        known = "also_moves" in factor
        found[name] = (*at.split(", "), *factor["also_moves"]) if known else (at,)
    return found


def _costs(trials: pd.DataFrame) -> list[str]:
    return [str(name) for name in trials.columns if str(name).startswith("cost/")]


def _baseline(name: str, factor: Mapping[str, Any]) -> Any:
    """The baseline as it stands among the levels; they may differ as 12 and "12" do."""
    levels = {label_text(level): level for level in factor["levels"]}
    wanted = label_text(factor["baseline"])
    if wanted not in levels:
        raise AnalysisError(
            f"The baseline {factor['baseline']!r} is no level of factor '{name}'.",
            mend=nearest(wanted, levels),
        )
    return levels[wanted]


def _baseline_first(trials: pd.DataFrame, baselines: Mapping[str, Any]) -> pd.DataFrame:
    """The table with every factor categorical, its baseline first, then the design's order."""
    ordered = trials.copy()
    for name, baseline in baselines.items():
        levels = sorted(ordered[name].cat.categories, key=lambda level: level != baseline)
        ordered[name] = pd.Categorical(ordered[name], categories=levels)
    return ordered


def _response(
    trials: pd.DataFrame, response: str, baselines: Mapping[str, Any]
) -> ResponseFindings:
    """All tables of one response; when nothing can be computed `fault` says why."""
    factors = list(baselines)
    empty = pd.DataFrame()
    try:
        means = [
            marginal_means(trials, response, factors, name, block=BLOCK).assign(factor=name)
            for name in factors
        ]
        differences = [
            _contrasts(trials, response, factors, name, baselines[name]) for name in factors
        ]
        table = anova(trials, response, factors, block=BLOCK)
        crossed = [
            interaction_contrast(trials, response, a, b, block=BLOCK, factors=factors)
            for a, b in itertools.combinations(factors, 2)
        ]
        interactions = [frame.assign(a=frame.attrs["a"], b=frame.attrs["b"]) for frame in crossed]
    except AnalysisError as fault:
        unit = unit_of(response, trials[response].astype(float))
        return ResponseFindings(unit, empty, empty, empty, empty, fault.what)
    joined = pd.concat(differences, ignore_index=True)
    widths = (joined["ci_high"] - joined["ci_low"]) / 2
    return ResponseFindings(
        unit=unit_of(response, trials[response].astype(float), widths),
        means=pd.concat(means, ignore_index=True),
        contrasts=joined,
        anova=table,
        interactions=pd.concat(interactions, ignore_index=True) if interactions else empty,
        fault="",
    )


def _contrasts(
    trials: pd.DataFrame, response: str, factors: list[str], name: str, baseline: Any
) -> pd.DataFrame:
    found = contrasts(trials, response, factors, of=name, baseline=baseline, block=BLOCK)
    fragile = fragile_levels(trials, response, factors, of=name, baseline=baseline, block=BLOCK)
    words = "fragile: its sign can flip with the values of the diverged trials"
    found["note"] = [
        "; ".join(part for part in (note, words if level in fragile else "") if part)
        for level, note in zip(found["level"], found["note"], strict=True)
    ]
    return found.assign(factor=name, baseline=baseline)


def _adjusted_together(responses: list[ResponseFindings]) -> list[ResponseFindings]:
    """Secondary responses are one family: their contrasts' p values by Benjamini & Hochberg."""
    tables = [found.contrasts for found in responses if not found.fault]
    p = [float(value) for table in tables for value in table["p"]]
    adjusted, place = adjust(p, "bh"), 0
    for table in tables:
        table["p_adjusted"] = adjusted[place : place + len(table)]
        place += len(table)
    return responses


def _cells(trials: pd.DataFrame, unit: Unit, cost: str | None, factors: list[str]) -> pd.DataFrame:
    """Per cell with a completed trial: factors, num_trials, mean response, mean cost, on_front.

    The response is the cell's mean in the blocked model: a missing seed does not shift it.
    """
    done = trials[completed(trials)]
    columns = [unit.name, cost] if cost else [unit.name]
    if unit.name not in done.columns or done.empty:
        return pd.DataFrame(columns=[*factors, "num_trials", *columns, "on_front"])
    done = done.loc[np.isfinite(done[columns].to_numpy(dtype=float)).all(axis=1)]
    grouped = done.groupby(factors, observed=True, sort=True)
    cells = grouped[columns].mean()
    cells.insert(0, "num_trials", grouped.size())
    cells = cells.reset_index()
    cells[unit.name] = _cell_means(trials, unit.name, factors, cells)
    up, down = ([], [unit.name]) if unit.less_is_better else ([unit.name], [])
    cells["on_front"] = pareto(cells, maximise=up, minimise=[*down, *([cost] if cost else [])])
    return cells


def _cell_means(
    trials: pd.DataFrame, response: str, factors: list[str], cells: pd.DataFrame
) -> list[float]:
    """The blocked model's mean of each row of `cells`; its raw mean where that is not estimable."""
    raw = [float(value) for value in cells[response]]
    try:
        found = marginal_means(trials, response, factors, factors, block=BLOCK, order=len(factors))
    except AnalysisError:
        return raw
    modelled = dict(zip(found["level"], found["mean"].astype(float), strict=True))
    labels = list(cells[factors].itertuples(index=False, name=None))
    values = [modelled.get(label, math.nan) for label in labels]
    return [r if math.isnan(v) else v for v, r in zip(values, raw, strict=True)]
