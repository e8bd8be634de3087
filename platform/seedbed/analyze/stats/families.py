"""A family of comparisons: estimates with adjusted p values."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from seedbed.analyze.stats.fit import Fit
from seedbed.analyze.stats.multiplicity import adjust
from seedbed.analyze.trials.observations import Floats

COLUMNS = ("difference", "se", "df", "t", "p", "p_adjusted", "ci_low", "ci_high", "note")


def family_table(fit: Fit, weights: Sequence[Floats], method: str) -> pd.DataFrame:
    """One row per comparison, in the columns `COLUMNS`; what has no p is no member of the family.

    The intervals are of 95 % each, whatever `method` makes of the p values.
    """
    table = pd.DataFrame([vars(fit.estimate(own)) for own in weights])
    table = table.rename(columns={"value": "difference"})
    table["p_adjusted"] = adjust(table["p"], method)
    return table[list(COLUMNS)]
