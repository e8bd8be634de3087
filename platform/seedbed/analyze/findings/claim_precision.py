"""What more seeds would show of an open claim, by the noise alone.

Nothing here reads the measured difference: power at the effect that was observed only says its p
value again (Hoenig & Heisey 2001, The American Statistician 55:19).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from seedbed.plan.power import detectable_difference

POWER = 0.8
_GROWTH = (1, 2, 4)  # times the present seeds


@dataclass(frozen=True)
class Precision:
    """With `num_seeds`: half of the interval that decides, and how far from its margin the truth
    must lie to be found with a power of 80 %; both in the response's own unit."""

    num_seeds: int
    half_width: float
    detectable: float


def precision(
    errors: Sequence[tuple[float, float]], num_seeds: int, alpha: float
) -> tuple[Precision, ...]:
    """By seeds, of the least certain of several differences with (standard error, df) `errors`.

    `alpha` is that of the interval which decides. Errors fall with the root of the seeds, their
    degrees of freedom grow with them. Nothing where there is no error to go by.
    """
    if not errors or any(math.isnan(se) or not se > 0 for se, _ in errors):
        return ()
    found = []
    for grown in _GROWTH:
        own = [(se / math.sqrt(grown), df * grown) for se, df in errors]
        half = max(float(stats.t.isf(alpha / 2, df)) * se for se, df in own)
        least = max(detectable_difference(se, df, power=POWER, alpha=alpha) for se, df in own)
        found.append(Precision(grown * num_seeds, half, least))
    return tuple(found)
