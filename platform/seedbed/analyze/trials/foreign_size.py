"""How large a model of a table that this package did not make may be."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

from seedbed.analyze.trials.observations import AnalysisError

MOST_EFFECTS = 2_000  # of a model: its arithmetic is their cube, seconds of two cores


def check_size(num_levels: Mapping[str, int], order: int) -> None:
    """Raise AnalysisError where the model has more effects than can be computed with.

    A random search has another value of a number in every run.
    """
    free = [num - 1 for num in num_levels.values()]
    effects = sum(
        math.prod(chosen)
        for size in range(1, order + 1)
        for chosen in itertools.combinations(free, size)
    )
    if effects > MOST_EFFECTS:
        named = max(num_levels, key=num_levels.__getitem__)
        raise AnalysisError(
            f"The factor '{named}' has {num_levels[named]:,} levels.",
            why=f"The factors make {effects:,} effects together, and a model is computed with "
            f"{MOST_EFFECTS:,} at most.",
            mend="Bin its values into a few levels, in a column of their own, or leave it out of "
            "--factors.",
        )
