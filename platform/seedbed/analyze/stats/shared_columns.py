"""The columns that every table of estimates shares, in the words of R's broom and marginaleffects.

A table keeps its own names beside them, so that `anova` still reads as an ANOVA table does.
"""

from __future__ import annotations

import math

import pandas as pd

SHARED = ("estimate", "std_error", "df", "statistic", "p_value", "conf_low", "conf_high")


def with_shared(table: pd.DataFrame, **own: str) -> pd.DataFrame:
    """`table` with those of `SHARED` that it lacks, behind its own columns.

    `own` says in which column it has one of them already; what it has nowhere is NaN, as the
    estimate of a term of several degrees of freedom, or the p of a variance component.
    """
    added = {
        name: table[own[name]] if name in own else math.nan
        for name in SHARED
        if name not in table.columns
    }
    return table.assign(**added)
