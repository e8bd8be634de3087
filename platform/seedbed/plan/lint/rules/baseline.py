"""A baseline that no cell has: what every contrast is taken against."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed.plan.lint.rule import Draft, Finding, Rule
from seedbed.study.cell import Cell
from seedbed.study.designs.one_at_a_time import OneAtATime

_WHY = "every contrast is taken against it, and here by way of the model alone"


def judge(draft: Draft) -> Iterator[Finding]:
    factors = draft.study.factors
    base = Cell((factor.name, factor.baseline(draft.study.base)) for factor in factors)
    # Around another cell levels are compared there, with cells that differ in nothing else.
    if isinstance(draft.study.design, OneAtATime) or any(c.cell == base for c in draft.cells):
        return
    yield _by_hand(draft, base) if draft.by_hand else _chosen(draft, base)


def _by_hand(draft: Draft, base: Cell) -> Finding:
    factors = draft.study.factors
    compared = {factor.name: len(list(draft.against_baseline(factor))) for factor in factors}
    alone = [name for name, number in compared.items() if not number]
    return Finding(
        "error" if len(alone) == len(factors) else "caution",
        f"the baseline '{base}' is not trained",
        _WHY
        + (
            f": no cell differs from one at the baseline of {alone[0]} in that only"
            if alone
            else ""
        ),
        "train that cell too, or name another with Factor(..., baseline=...)",
    )


def _chosen(draft: Draft, base: Cell) -> Finding:
    """Of a design that chooses its cells: their model has every level, so that it is no error."""
    trained = [cell.cell for cell in draft.cells]
    nearest = min(trained, key=lambda cell: sum(cell[name] != base[name] for name in base))
    others = ", ".join(
        f"Factor('{name}', ..., baseline={nearest[name]!r})"
        for name in base
        if nearest[name] != base[name]
    )
    return Finding(
        "caution",
        f"the baseline '{base}' is not among the {len(trained)} cells of the design",
        f"{_WHY}: what the baseline itself gives is not measured",
        f"take the nearest cell that is trained: {others}; or state optimal=N, which trains the "
        "baseline wherever no constraint forbids it",
    )


RULE = Rule("is the baseline trained?", judge)
