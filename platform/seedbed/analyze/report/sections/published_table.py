"""A published table analysed by itself: how much it varies by what, and why that is no test."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from seedbed.analyze.numbers import listed, unit_of
from seedbed.analyze.report.page import Table, sentence
from seedbed.analyze.stats.anova import anova
from seedbed.analyze.stats.means import crossed_contrasts
from seedbed.analyze.trials.observations import AnalysisError, label_text, observe
from seedbed.analyze.trials.rows import rows_of
from seedbed.metric import Metric
from seedbed.study.published import Published

_FEWEST_LEVELS = 2


def complete_part(
    published: Published, factors: Mapping[str, Sequence[Any]]
) -> tuple[pd.DataFrame, list[str]]:
    """The published cells that form a full grid, and the levels left out for it, in words.

    Levels go one by one, the one with the most cells missing first, until none is missing.
    """
    cells = {tuple(cell[name] for name in factors): value for cell, value in published.cells}
    kept = {name: [v for v in levels if any(key[i] == v for key in cells)]
            for i, (name, levels) in enumerate(factors.items())}  # fmt: skip
    left_out = []
    while True:
        missing = [key for key in itertools.product(*kept.values()) if key not in cells]
        if not missing:
            break
        counts = [
            (sum(key[i] == level for key in missing) / math.prod(
                len(other) for name2, other in kept.items() if name2 != name), name, level)
            for i, (name, levels) in enumerate(kept.items())
            for level in levels
        ]  # fmt: skip
        _, name, level = max(counts, key=lambda item: item[0])
        kept[name] = [other for other in kept[name] if other != level]
        left_out.append(f"{name} {label_text(level)}")
    rows = [
        {**dict(zip(kept, key, strict=True)), published.response: cells[key]}
        for key in itertools.product(*kept.values())
    ]
    table = pd.DataFrame(rows, columns=[*kept, published.response])
    for name, levels in kept.items():
        table[name] = pd.Categorical(table[name], categories=levels)
    return table, left_out


def by_itself(
    published: Published, factors: Mapping[str, Sequence[Any]], metric: Metric
) -> tuple[list[str], list[Table]]:
    """Words and a table: the sum of squares by term, and the largest crossing; maybe nothing.

    `metric` is that of the values. `factors` maps names to levels, the baseline first.
    """
    table, left_out = complete_part(published, factors)
    known = [name for name in factors if table[name].nunique() >= _FEWEST_LEVELS]
    if len(known) < 2 or len(known) != len(factors):
        return [], []
    response = published.response
    try:
        squares = anova(table, response, known, order=len(known))
    except AnalysisError:
        return [], []
    terms = squares.drop(index="Residual")
    total = float(terms["sum_sq"].sum())
    rows = [
        [str(term).replace(":", " × "), f"{row['df']:g}", f"{100 * row['sum_sq'] / total:.1f}"]
        for term, row in zip(terms.index, rows_of(terms), strict=True)
    ]
    note = str(squares["note"]["Residual"])
    words = [
        "By itself the published table has one value a cell: "
        f"{note}. It says how much its own numbers vary by what, and not how sure that is.",
        *_crossings(table, metric, known),
    ]
    if left_out:
        words.append(f"Left out, since a cell of it was not published: {listed(left_out)}.")
    title = "The published table by itself"
    return words, [Table(["Term", "df", "Sum of squares, %"], rows, frozenset({1, 2}), title=title)]


def _crossings(table: pd.DataFrame, metric: Metric, factors: list[str]) -> list[str]:
    """The largest change of an effect with another factor, when there are two factors."""
    if len(factors) != 2:
        return []
    a, b = factors
    interactions, simple_effects = crossed_contrasts(observe(table, metric.name, factors), a, b)
    largest = max(interactions, key=lambda one: abs(one.estimate))
    effect_at = {one.at[b]: one.estimate for one in simple_effects if one.level == largest.level}
    unit = unit_of(metric, table[metric.name])
    first, second = largest.less_at[b], largest.at[b]
    words = (
        f"{a} {largest.label} against {label_text(largest.baseline)} changes "
        f"by {unit.difference(effect_at[first])} {unit.difference_unit} at {label_text(first)} and "
        f"by {unit.difference(effect_at[second])} at {label_text(second)}: a "
        f"difference of {unit.difference(abs(largest.estimate)).lstrip('+')} "
        f"{unit.difference_unit}"
    )
    return [sentence(" ".join(words.split()))]
