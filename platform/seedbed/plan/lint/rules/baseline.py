"""A baseline that no cell has: what every contrast is taken against."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed.plan.lint.rule import Draft, Finding, Rule
from seedbed.study.cell import Cell


def judge(draft: Draft) -> Iterator[Finding]:
    factors = draft.study.factors
    base = Cell((factor.name, factor.baseline(draft.study.base)) for factor in factors)
    if not draft.by_hand or any(cell.cell == base for cell in draft.cells):
        return
    compared = {factor.name: len(list(draft.against_baseline(factor))) for factor in factors}
    alone = [name for name, number in compared.items() if not number]
    yield Finding(
        "error" if len(alone) == len(factors) else "caution",
        f"the baseline '{base}' is not trained",
        "every contrast is taken against it, and here by way of the model alone"
        + (
            f": no cell differs from one at the baseline of {alone[0]} in that only"
            if alone
            else ""
        ),
        "train that cell too, or name another with Factor(..., baseline=...)",
    )


RULE = Rule("is the baseline trained?", judge)
