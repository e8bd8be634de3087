"""Hidden aliases: recipe fields that vary together with a factor that does not set them.

A claim about such a factor is about everything that varies with it: with weight decay 0.5 for two
objectives and 0.1 for the others, the objectives' effect and the weight decay's cannot be told
apart.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

RECIPE_PREFIX = "recipe/"
_MOST_FACTORS = 2  # a field predicted only by more than two factors is not reported


@dataclass(frozen=True)
class Alias:
    """A recipe field and the factors that predict it."""

    field: str
    factors: tuple[str, ...]

    @property
    def term(self) -> str:
        """The effect the field is confounded with, as `anova` names it."""
        return ":".join(self.factors)


def hidden_aliases(trials: pd.DataFrame, at: Mapping[str, tuple[str, ...]]) -> list[Alias]:
    """The varying recipe fields that are functions of one factor, or of two jointly.

    Reads the columns `recipe/<path>`; `at` names the paths each factor sets, which are no aliases.
    Fields that differ within a cell (a seed's) are not predicted by any factor and not listed.
    """
    aliases = []
    for column in trials.columns:
        path = str(column).removeprefix(RECIPE_PREFIX)
        if path == str(column) or any(
            _is_within(path, own) for set_by in at.values() for own in set_by
        ):
            continue
        known = trials[trials[column].notna()]
        if known[column].nunique() < 2:
            continue
        factors = _predicted_by(known, str(column), list(at))
        if factors:
            aliases.append(Alias(path, factors))
    return aliases


def _is_within(path: str, parent: str) -> bool:
    # A tower's options at this scale go with its name: setting the name sets them.
    parent = parent.removesuffix(".name")
    return bool(parent) and (path == parent or path.startswith(f"{parent}."))


def _predicted_by(known: pd.DataFrame, column: str, factors: list[str]) -> tuple[str, ...]:
    """The smallest set of factors whose levels fix the field's value; empty when none does."""
    for size in range(1, min(_MOST_FACTORS, len(factors)) + 1):
        for names in itertools.combinations(factors, size):
            if (known.groupby(list(names), observed=True)[column].nunique() == 1).all():
                return names
    return ()
