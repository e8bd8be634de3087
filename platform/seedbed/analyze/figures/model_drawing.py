"""Turns findings into the figures of the model: which effects, which residuals, which seeds."""

from __future__ import annotations

import math

import numpy as np

from seedbed.analyze.figures.drawing import rows_of
from seedbed.analyze.figures.effects import effect_table
from seedbed.analyze.figures.model import (
    Bar,
    Limit,
    effect_pareto,
    half_normal,
    residuals,
    seeds_needed,
)
from seedbed.analyze.findings.study import Findings


def model_figures(found: Findings) -> dict[str, str]:
    """The figures by name: `effect_pareto`, `half_normal`, `residuals`, `seeds_needed`."""
    if found.primary.fault:
        return {}
    return {
        "effect_pareto": _pareto(found),
        "half_normal": _half_normal(found),
        "residuals": _residuals(found),
        "seeds_needed": _seeds(found),
    }


def _scale(found: Findings) -> float:
    return 100.0 if found.primary.unit.is_fraction else 1.0


def _in_unit(found: Findings, words: str) -> str:
    unit = found.primary.unit.difference_unit
    return f"{words} ({unit})" if unit else words


def _pareto(found: Findings) -> str:
    unit, table = found.primary.unit, found.two_level
    title = _in_unit(found, "Absolute difference")
    if table is not None:
        bars = [
            Bar(str(term).replace(":", " × "), unit.difference(size), float(size))
            for term, size in table["effect"].items()
        ]
        return effect_pareto(bars, scale=_scale(found), title=title, limits=_lenth(found))
    bars = [
        Bar(
            f"{row['term'].replace(':', ' × ')}: {row['comparison']}",
            unit.difference(row["difference"]),
            row["difference"],
        )
        for row in rows_of(effect_table(found.primary))
    ]
    return effect_pareto(bars, scale=_scale(found), title=title)


def _lenth(found: Findings) -> list[Limit]:
    """Lenth's margins, where nothing was run again to tell noise by."""
    if found.two_level is None or found.two_level.attrs["judged_by"] != "Lenth":
        return []
    attrs = found.two_level.attrs
    return [Limit(attrs["ME"], "margin of error"), Limit(attrs["SME"], "simultaneous")]


def _half_normal(found: Findings) -> str:
    table = found.two_level
    if table is None:
        return ""
    effects = [
        (str(term).replace(":", " × "), float(row["effect"]), float(row["half_normal_quantile"]))
        for term, row in zip(table.index, rows_of(table), strict=True)
    ]
    return half_normal(
        effects,
        scale=_scale(found),
        x_title="Half-normal quantile",
        limits=[Limit(limit.at, f"Lenth's {limit.label}") for limit in _lenth(found)[:1]],
        pse=table.attrs["PSE"],
    )


def _residuals(found: Findings) -> str:
    diagnostics = found.primary.diagnostics
    if diagnostics is None:
        return ""
    table = diagnostics.trials
    values = found.trials.loc[table.index, found.primary.unit.name].astype(float)
    return residuals(
        [float(v) for v in np.asarray(values - table["residual"], dtype=float)],
        [float(v) for v in table["residual"]],
        [float(v) for v in table["studentised"]],
        scale=_scale(found),
        unit=found.primary.unit.difference_unit,
    )


def _seeds(found: Findings) -> str:
    if found.outlook is None:
        return ""
    curves = []
    for effect, own in found.outlook.table.groupby("effect", sort=False):
        points = [
            (int(row["num_seeds"]), float(row["half_width"]))
            for row in rows_of(own)
            if not math.isnan(row["half_width"])
        ]
        curves.append((str(effect).replace(":", " × "), points))
    # The least certain effects: what they need, the others have.
    curves.sort(key=lambda curve: -curve[1][0][1] if curve[1] else 0.0)
    unit = found.primary.unit
    margins = {
        abs(one.margin)
        for judged in found.claims
        for one in judged.contrasts
        # A margin that was stated about another scale measures nothing here.
        if one.margin and judged.response == unit.name and judged.verdict is not None
    }
    limits = [
        Limit(margin, f"margin {unit.difference(margin).lstrip('+')}") for margin in sorted(margins)
    ]
    return seeds_needed(
        curves,
        present=found.outlook.num_seeds,
        scale=_scale(found),
        y_title=_in_unit(found, "Half of a 95 % interval"),
        limits=limits,
    )
