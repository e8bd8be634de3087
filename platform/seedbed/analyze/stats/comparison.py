"""Estimates and comparisons, in the words of R's marginaleffects, and their public tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import pandas as pd

from seedbed.analyze.stats.multiplicity import adjust
from seedbed.analyze.stats.shared_columns import with_shared
from seedbed.analyze.trials.observations import Level, label_text
from seedbed.study.cell import Cell

# By field, the column of the public tables.
COLUMNS = {
    "estimate": "difference",
    "std_error": "se",
    "df": "df",
    "statistic": "t",
    "p_value": "p",
    "p_adjusted": "p_adjusted",
    "conf_low": "ci_low",
    "conf_high": "ci_high",
    "note": "note",
}


@dataclass(frozen=True)
class Estimate:
    """An estimable function of a model's parameters with its 95 % t interval.

    NaN where `note` says why.
    """

    estimate: float
    std_error: float
    df: float
    statistic: float
    p_value: float
    conf_low: float
    conf_high: float
    note: str

    def noted(self, words: str) -> Self:
        """With `words` in its note too; "" adds nothing."""
        return replace(self, note="; ".join(part for part in (self.note, words) if part))

    def row(self) -> dict[str, Any]:
        """Its values under their public names."""
        return {COLUMNS.get(name, name): value for name, value in vars(self).items()}

    @property
    def has_interval(self) -> bool:
        return not math.isnan(self.conf_low)

    @property
    def half_width(self) -> float:
        return (self.conf_high - self.conf_low) / 2

    @property
    def excludes_zero(self) -> bool:
        return self.conf_low > 0 or self.conf_high < 0


@dataclass(frozen=True)
class Comparison(Estimate):
    """The level `level` of `factor` minus its level `baseline`, averaged over the other factors.

    With `at` it is the simple effect where another factor has that level; with `less_at` the same
    difference there is taken away: an interaction. `p_adjusted` is over the family of comparisons
    it was made in. `by_seed_low` and `by_seed_high` are the limits that rest on one value per seed,
    where the first do not.
    """

    factor: str
    level: Level
    baseline: Level
    at: Mapping[str, Level] = Cell()
    less_at: Mapping[str, Level] = Cell()
    p_adjusted: float = math.nan
    by_seed_low: float = math.nan
    by_seed_high: float = math.nan

    @property
    def term(self) -> str:
        """`depth`, `depth:supervision`."""
        return ":".join((self.factor, *self.at))

    @property
    def label(self) -> str:
        return label_text(self.level)

    @property
    def words(self) -> str:
        """`3 minus 12`, `3 at declip`: what is compared, beside its term."""
        if self.at:
            return f"{self.label} at {', '.join(map(label_text, self.at.values()))}"
        return f"{self.label} minus {label_text(self.baseline)}"


def adjusted(comparisons: Sequence[Comparison], method: str) -> list[Comparison]:
    """With p values adjusted over all of them; what has no p is no member of the family."""
    values = adjust([one.p_value for one in comparisons], method)
    return [
        replace(one, p_adjusted=float(value))
        for one, value in zip(comparisons, values, strict=True)
    ]


def of_term(comparisons: Iterable[Comparison], *factors: str) -> list[Comparison]:
    return [one for one in comparisons if one.term == ":".join(factors)]


def comparison_table(
    comparisons: Iterable[Comparison], leading: Sequence[str], trailing: Sequence[str] = ()
) -> pd.DataFrame:
    """A row each under the public names, `COLUMNS` between the `leading` and `trailing` ones, then
    those that all tables share."""
    rows = []
    for one in comparisons:
        row = one.row()
        for factor, level in one.at.items():
            kind = "interaction" if one.less_at else "simple"
            row |= {"kind": kind, "a": one.factor, "a_level": one.level}
            row |= {"b": factor, "b_level": level}
        rows.append(row)
    table = pd.DataFrame(rows, columns=[*leading, *COLUMNS.values(), *trailing])
    return with_shared(table, **COLUMNS)
