"""p values adjusted for how many there are."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from seedbed.analyze.trials.observations import AnalysisError, Floats
from seedbed.errors import nearest

METHODS = ("none", "holm", "bh", "bonferroni")


def adjust(p_values: Iterable[float], method: str = "holm") -> Floats:
    """Adjusted p values [n] in the order given; NaN stays NaN and is no member of the family.

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
    adjusted = np.full(len(p), np.nan)
    family = p[known]
    num_tests = len(family)
    order = np.argsort(family, kind="stable")
    result = np.empty(num_tests)
    ranks = np.arange(1, num_tests + 1)
    if name == "none":
        result = family
    elif name == "bonferroni":
        result = family * num_tests
    elif name == "holm":
        result[order] = np.maximum.accumulate(family[order] * (num_tests - ranks + 1))
    else:
        stepped = (family[order] * num_tests / ranks)[::-1]
        result[order] = np.minimum.accumulate(stepped)[::-1]
    adjusted[known] = np.minimum(result, 1.0)
    return adjusted
