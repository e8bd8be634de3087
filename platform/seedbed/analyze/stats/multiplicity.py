"""p values adjusted for multiple comparisons."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from statsmodels.stats.multitest import multipletests

from seedbed.analyze.trials.observations import AnalysisError, Floats
from seedbed.errors import nearest

_THEIR_NAMES = {"bh": "fdr_bh", "bonferroni": "bonferroni"}
METHODS = ("none", "holm", *_THEIR_NAMES)


def adjust(p_values: Iterable[float], method: str = "holm") -> Floats:
    """Adjusted p values [n] in the order given; NaN stays NaN and does not count.

    holm: Holm 1979; bh: Benjamini & Hochberg 1995 (false discovery rate); bonferroni; none.
    """
    name = str(method).lower()
    if name not in METHODS:
        raise AnalysisError(f"Adjustment {method!r} is not known.", mend=nearest(method, METHODS))
    try:
        p = np.asarray(list(p_values), dtype=float)
    except (TypeError, ValueError):
        raise AnalysisError("The p values are not all numbers.", mend="Give numbers.") from None
    known = ~np.isnan(p)
    if ((p[known] < 0) | (p[known] > 1)).any():
        raise AnalysisError("A p value lies outside 0 to 1.", mend="Give probabilities.")
    adjusted = p.copy()
    if name == "holm":
        adjusted[known] = _holm(p[known])
    elif known.any() and name != "none":
        adjusted[known] = multipletests(p[known], method=_THEIR_NAMES[name])[1]
    return adjusted


def _holm(p: Floats) -> Floats:
    """Equal to statsmodels' multipletests, which runs the garbage collector at every call: in a
    large process that takes longer than all the rest of a report."""
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    steps = p[order] * np.arange(len(p), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
