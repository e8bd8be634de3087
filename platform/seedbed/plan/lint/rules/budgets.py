"""Levels that train on unequal budgets: samples, image views, arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from seedbed.plan.confounded import equation
from seedbed.plan.cost import Cost
from seedbed.plan.lint.rule import Draft, Finding, Rule
from seedbed.study.factor import Factor
from seedbed.study.label import Label

NOTICED = 1.1  # a ratio of FLOPs: less is within what a device makes of the same FLOPs


def judge(draft: Draft) -> Iterator[Finding]:
    for factor in draft.study.factors:
        if factor.main.partition(".")[0] == "budget":
            continue  # the budget is what it asks about
        yield from _samples(draft, factor)
        yield from _arithmetic(draft, factor)


def _samples(draft: Draft, factor: Factor) -> Iterator[Finding]:
    moved = next(
        (m for m in draft.moved if m.factor is factor and m.field == "budget.samples"), None
    )
    if moved is None:
        return
    name = factor.name
    yield Finding(
        "caution" if moved.declared else "error",
        f"{moved}{' (declared)' if moved.declared else ''}",
        f"the levels of {name} see unequal numbers of samples: more of them is better by itself",
        "give all levels one budget.samples, or a Factor of its own; where the levels are meant to "
        f'have unequal ones, declare it: Factor("{name}", ..., also_moves=("budget.samples",))',
    )


def _arithmetic(draft: Draft, factor: Factor) -> Iterator[Finding]:
    views = _ratios(draft, factor, lambda cost: cost.image_views / cost.samples)
    flops = _ratios(draft, factor, lambda cost: cost.train_flops)
    parts = []
    if any(_apart(ratio) for ratio in views.values()):
        parts.append(f"image views a sample {_told(views)}")
    if any(_apart(ratio) for ratio in flops.values()):
        parts.append(f"training FLOPs {_told(flops)}")
    if parts:
        yield Finding(
            "caution",
            f"budgets move with {factor.name}, as multiples of the baseline's: {'; '.join(parts)}",
            "at equal samples a level may win by what it computes; device-hours go about as the "
            "FLOPs do",
            "read its effects beside cost/pflop and cost/device_hours, which the report sets them "
            "against; for equal FLOPs give its levels budget.samples of their own, declared in "
            "also_moves",
        )


def _ratios(draft: Draft, factor: Factor, of: Callable[[Cost], float]) -> dict[Label, float]:
    """By level, the geometric mean ratio to the baseline's, between cells that differ in `factor`
    only; where there are none, of the levels' means."""
    logs: dict[Label, list[float]] = {}
    known = {id(cost): math.log(max(of(cost), 1e-9)) for cost in draft.different_costs}
    amounts = [known[id(cost)] for cost in draft.costs]
    for one, base in draft.against_baseline(factor):
        label = draft.cells[one].cell[factor.name]
        logs.setdefault(label, []).append(amounts[one] - amounts[base])
    baseline = factor.baseline(draft.study.base)
    if not logs:
        for cell, amount in zip(draft.cells, amounts, strict=True):
            logs.setdefault(cell.cell[factor.name], []).append(amount)
        if baseline not in logs:
            return {}
        middle = sum(logs[baseline]) / len(logs[baseline])
        logs = {label: [amount - middle for amount in own] for label, own in logs.items()}
    return {
        label: math.exp(sum(logs[label]) / len(logs[label])) if label in logs else 1.0
        for label in factor.levels
        if label in logs or label == baseline
    }


def _apart(ratio: float) -> bool:
    return not 1 / NOTICED < ratio < NOTICED


def _told(ratios: Mapping[Label, float]) -> str:
    return equation({label: f"{ratio:.2g}x" for label, ratio in ratios.items()})


RULE = Rule("do all levels have the same budget?", judge)
