"""Combinations of levels that a study without a design leaves out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from seedbed.plan.lint.rule import Draft, Finding, Rule
from seedbed.study.factor import Factor
from seedbed.study.label import label_text

MOST = 4  # pairs of levels that are named


def judge(draft: Draft) -> Iterator[Finding]:
    factors = draft.study.factors
    every = math.prod(len(factor.levels) for factor in factors)
    missing = every - len(draft.cells)
    if not missing or not draft.by_hand:
        return
    never = [
        words
        for one, other in itertools.combinations(factors, 2)
        for words in _never(draft, one, other)
    ]
    more = f" and {len(never) - MOST} more pairs" if len(never) > MOST else ""
    told = f": never {', '.join(never[:MOST])}{more}" if never else ""
    yield Finding(
        "caution",
        f"{missing} of the {every} combinations of levels are not trained{told}",
        "interactions that need them have no value, and a level's mean is over the cells that it "
        "has: the report names both",
        "nothing, where they cannot be trained or a factor is nested; else loosen the constraints, "
        "or state a design (optimal=N) that balances what is left",
    )


def _never(draft: Draft, one: Factor, other: Factor) -> list[str]:
    """The pairs of levels that no cell has together."""
    there = {(cell.cell[one.name], cell.cell[other.name]) for cell in draft.cells}
    return [
        f"{one.name}={label_text(a)} with {other.name}={label_text(b)}"
        for a in one.levels
        for b in other.levels
        if (a, b) not in there
    ]


RULE = Rule("is every combination of levels trained?", judge)
