"""Turns findings into figures: which points, which labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from seedbed.analyze.figures.contrasts import (
    NUM_TONES,
    Difference,
    Line,
    Point,
    forest,
    levels,
    scatter,
)
from seedbed.analyze.findings.study import Findings
from seedbed.analyze.stats.means import marginal_means
from seedbed.analyze.trials.observations import AnalysisError, completed, label_text


def figures_of(found: Findings) -> dict[str, str]:
    """The figures by name: `contrasts_<factor>`, `means_<factors>`, `cost`."""
    if found.primary.fault:
        return {}
    drawn = {f"contrasts_{name}": _forest(found, name) for name in found.factors}
    names = list(found.factors)
    if len(names) == 1:
        drawn[f"means_{names[0]}"] = _means(found, names[0])
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    drawn.update({f"means_{a}_by_{b}": _means(found, a, b) for a, b in pairs})
    if found.cost and not found.cells.empty:
        drawn["cost"] = _cost(found)
    return drawn


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as plain dictionaries."""
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]


def seed_differences(found: Findings, factor: str, level: object) -> list[float]:
    """The response at `level` minus at the baseline, wherever the rest of the cell and the seed
    completed both: the raw pairs behind a contrast."""
    done = found.trials[completed(found.trials)].dropna(subset=[found.primary.unit.name])
    others = [name for name in found.factors if name != factor]
    values = done.set_index([*others, "seed"])[[factor, found.primary.unit.name]]
    of_level = values.loc[values[factor] == level, found.primary.unit.name]
    of_base = values.loc[values[factor] == found.baselines[factor], found.primary.unit.name]
    return [float(value) for value in (of_level - of_base).dropna()]


def _scale(found: Findings) -> float:
    return 100.0 if found.primary.unit.is_fraction else 1.0


def _forest(found: Findings, factor: str) -> str:
    unit = found.primary.unit
    table = found.primary.contrasts
    rows = []
    for row in rows_of(table[table["factor"] == factor]):
        interval = unit.interval(row["ci_low"], row["ci_high"])
        words = unit.difference(row["difference"])
        rows.append(
            Difference(
                label=f"{factor} {label_text(row['level'])}",
                text=words if math.isnan(row["ci_low"]) else f"{words}  [{interval}]",
                mean=row["difference"],
                low=row["ci_low"],
                high=row["ci_high"],
                raw=seed_differences(found, factor, row["level"]) if found.num_seeds > 1 else [],
            )
        )
    base = f"{factor} {label_text(found.baselines[factor])}"
    of_unit = f" ({unit.difference_unit})" if unit.difference_unit else ""
    return forest(rows, scale=_scale(found), title=f"Difference from {base}{of_unit}")


def _means(found: Findings, factor: str, by: str | None = None) -> str:
    """Cell means of one factor in the design's order of levels, a line per level of `by`."""
    unit = found.primary.unit
    order = list(found.design["factors"][factor]["levels"])
    at = [factor, by] if by else [factor]
    try:
        table = marginal_means(
            found.trials, unit.name, list(found.factors), at,
            block="seed", error=found.primary.error, seeds="random",
        )  # fmt: skip
    except AnalysisError:
        return ""
    done = found.trials[completed(found.trials)]
    lines = []
    for value in list(found.design["factors"][by]["levels"]) if by else [None]:
        points = []
        for row in rows_of(table):
            if by and row["level"][1] != value:
                continue
            place = order.index(row["level"][0])
            here = done[done[factor] == row["level"][0]]
            here = here[here[by] == value] if by else here
            seeds = [(float(place), float(y)) for y in here[unit.name].dropna()]
            points.append(Point(place, row["mean"], row["ci_low"], row["ci_high"], seeds))
        points.sort(key=lambda point: point.x)
        lines.append(Line(f"{by} {label_text(value)}" if by else "", points))
    of_unit = f" ({unit.value_unit})" if unit.value_unit else ""
    return levels(
        lines,
        [label_text(level) for level in order],
        scale=_scale(found),
        x_title=factor,
        y_title=f"{unit.label}{of_unit}",
    )


def cell_label(row: Mapping[str, Any], factors: Iterable[str]) -> str:
    """`depth 3, supervision clip`."""
    return ", ".join(f"{name} {label_text(row[name])}" for name in factors)


def _cost(found: Findings) -> str:
    """Cells over their cost: the last factor with few levels as colours, the others as labels."""
    unit, cost = found.primary.unit, found.cost
    assert cost is not None
    done = found.trials[completed(found.trials)].dropna(subset=[unit.name, cost.name])
    few = [name for name in found.factors if len(found.factors[name]) <= NUM_TONES]
    toned = few[-1] if few and len(found.factors) > 1 else None
    labelled = [name for name in found.factors if name != toned]
    tones = list(found.design["factors"][toned]["levels"]) if toned else []
    points = []
    for row in rows_of(found.cells):
        here = done
        for name in found.factors:
            here = here[here[name] == row[name]]
        words = [label_text(row[name]) for name in labelled]
        point = Point(
            row[cost.name],
            row[unit.name],
            raw=list(
                zip(here[cost.name].astype(float), here[unit.name].astype(float), strict=True)
            ),
            label=f"{labelled[0]} {words[0]}" if len(found.factors) == 1 else ", ".join(words),
            on_front=bool(row["on_front"]),
            tone=tones.index(row[toned]) if toned else 0,
        )
        points.append(point)
    of_unit = f" ({unit.value_unit})" if unit.value_unit else ""
    return scatter(
        points,
        scale=_scale(found),
        x_title=cost.label,
        y_title=f"{unit.label}{of_unit}",
        legend=[f"{toned} {label_text(level)}" for level in tones],
    )
