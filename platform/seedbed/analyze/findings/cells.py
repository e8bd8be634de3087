"""The cells of a study over what they cost: means, the Pareto front, and how sure both are."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from seedbed.analyze.findings.response import BLOCK
from seedbed.analyze.numbers import Unit
from seedbed.analyze.stats.means import marginal_means
from seedbed.analyze.stats.pareto import pareto, pareto_membership, per_device_hour
from seedbed.analyze.trials.observations import AnalysisError, completed


def find_cells(
    trials: pd.DataFrame,
    unit: Unit,
    cost: str | None,
    factors: list[str],
    block: str | None = BLOCK,
) -> pd.DataFrame:
    """Per cell with a completed trial: factors, num_trials, mean response, mean cost, on_front.

    The response is the cell's mean in the blocked model: a missing seed does not shift it.
    """
    done = trials[completed(trials)]
    columns = [unit.name, cost] if cost else [unit.name]
    if unit.name not in done.columns or done.empty:
        return pd.DataFrame(columns=[*factors, "num_trials", *columns, "on_front"])
    numbers = done[columns].apply(pd.to_numeric, errors="coerce").astype(float)
    done = done.assign(**numbers).loc[np.isfinite(numbers.to_numpy()).all(axis=1)]
    grouped = done.groupby(factors, observed=True, sort=True)
    cells = grouped[columns].mean()
    cells.insert(0, "num_trials", grouped.size())
    cells = cells.reset_index()
    cells[unit.name] = _cell_means(trials, unit.name, factors, cells, block)
    up, down = ([], [unit.name]) if unit.less_is_better else ([unit.name], [])
    cells["on_front"] = pareto(cells, maximise=up, minimise=[*down, *([cost] if cost else [])])
    if cost is None or block is None:
        return cells
    return _priced(trials, cells, unit, cost, factors, up, down)


def _priced(
    trials: pd.DataFrame,
    cells: pd.DataFrame,
    unit: Unit,
    cost: str,
    factors: list[str],
    up: list[str],
    down: list[str],
) -> pd.DataFrame:
    """`cells` with the probability of being on the front, and the response per unit of cost."""
    numbers = trials[[unit.name, cost]].apply(pd.to_numeric, errors="coerce").astype(float)
    good = np.isfinite(numbers.to_numpy()).all(axis=1)
    finite = trials.assign(**{name: numbers[name].where(good) for name in numbers})
    try:
        member = pareto_membership(
            finite, factors, maximise=up, minimise=[*down, cost], block=BLOCK
        )
        ratio = per_device_hour(finite, unit.name, cost, factors, block=BLOCK)
    except AnalysisError:
        return cells
    ratio = ratio[[*factors, "ratio", "ci_low", "ci_high", "note"]]
    ratio = ratio.rename(columns={"ratio": "per_cost", "note": "per_cost_note"})
    ratio = ratio.rename(columns={"ci_low": "per_cost_low", "ci_high": "per_cost_high"})
    joined = cells.merge(member[[*factors, "probability"]], on=factors, how="left")
    return joined.merge(ratio, on=factors, how="left")


def _cell_means(
    trials: pd.DataFrame,
    response: str,
    factors: list[str],
    cells: pd.DataFrame,
    block: str | None,
) -> list[float]:
    """The blocked model's mean of each row of `cells`; its raw mean where that is not estimable."""
    raw = [float(value) for value in cells[response]]
    try:
        found = marginal_means(trials, response, factors, factors, block=block, order=len(factors))
    except AnalysisError:
        return raw
    modelled = dict(zip(found["level"], found["mean"].astype(float), strict=True))
    labels = list(cells[factors].itertuples(index=False, name=None))
    values = [modelled.get(label, math.nan) for label in labels]
    return [r if math.isnan(v) else v for v, r in zip(values, raw, strict=True)]
