"""What is said of a study's budgets: effects at each, by a trend at the next, and crossings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seedbed.analyze.stats.comparison import Estimate
from seedbed.analyze.trials.observations import label_text


@dataclass(frozen=True)
class BudgetEffect:
    """A level against another, or with `within` how that changes from one level of a second factor
    to another; `at` each budget, and `ahead` at the next."""

    factor: str
    level: Any
    baseline: Any
    at: tuple[Estimate, ...]
    ahead: Estimate
    slope: Estimate
    within: str = ""
    within_levels: tuple[Any, Any] = (None, None)

    @property
    def words(self) -> str:
        """`slip minus clip`, `slip minus clip, at resnet less at vit`."""
        first = f"{label_text(self.level)} minus {label_text(self.baseline)}"
        if not self.within:
            return first
        upper, lower = map(label_text, self.within_levels)
        return f"{first}, at {upper} less at {lower}"

    @property
    def term(self) -> str:
        return f"{self.factor}:{self.within}" if self.within else self.factor

    @property
    def is_known_ahead(self) -> bool:
        """Whether its interval at the next budget lies on one side of 0."""
        return self.ahead.conf_low > 0 or self.ahead.conf_high < 0


@dataclass(frozen=True)
class Crossing:
    """Two levels that change places from one budget to another, and how likely they really do."""

    factor: str
    first: Any  # the level that is ahead at the smaller budget
    second: Any
    smaller: str
    larger: str
    probability: float


@dataclass(frozen=True)
class AgainstBudget:
    """What a study says of its budgets: `numbers` ascending, by their `labels`, and the next one.

    `df` are the degrees of freedom of the trend's error; `own_error` says whether intervals at a
    budget are of its own trials, or of what the trend leaves.
    """

    name: str
    labels: tuple[Any, ...]
    numbers: tuple[float, ...]
    ahead: float
    effects: tuple[BudgetEffect, ...]
    crossings: tuple[Crossing, ...]
    df: int
    own_error: bool
