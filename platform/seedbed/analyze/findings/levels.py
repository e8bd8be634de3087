"""A design's factors as an analysis takes them: their baseline first, and what they are known to
move."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from seedbed.analyze.trials.observations import AnalysisError, label_text
from seedbed.errors import nearest
from seedbed.plan.design import Design, PlannedFactor


def baseline_of(factor: PlannedFactor) -> Any:
    """The baseline as it stands among the levels; they may differ as 12 and "12" do."""
    levels = {label_text(level): level for level in factor.levels}
    wanted = label_text(factor.baseline)
    if wanted not in levels:
        raise AnalysisError(
            f"The baseline {factor.baseline!r} is no level of factor '{factor.name}'.",
            mend=nearest(wanted, levels),
        )
    return levels[wanted]


def baseline_first(trials: pd.DataFrame, baselines: Mapping[str, Any]) -> pd.DataFrame:
    """The table with every factor categorical, its baseline first, then the design's order."""
    ordered = trials.copy()
    for name, baseline in baselines.items():
        levels = sorted(ordered[name].cat.categories, key=lambda level: level != baseline)
        ordered[name] = pd.Categorical(ordered[name], categories=levels)
    return ordered


def paths_of(design: Design) -> dict[str, tuple[str, ...]]:
    """What each factor sets, and what is known to move with it: said of it in its own sentence."""
    paths = {}
    for name, factor in design.factors.items():
        # A design that does not say what moves together leaves a bundle's fields to be found.
        moved = factor.also_moves
        paths[name] = (factor.at,) if moved is None else (*factor.at.split(", "), *moved)
    return paths
