"""Levels that train on unequal budgets: samples, image views, arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from seedbed.plan.confounded import alike, equation
from seedbed.plan.cost import Cost
from seedbed.plan.lint.rule import Draft, Finding, Rule
from seedbed.recipe.paths import beneath
from seedbed.study.factor import Factor
from seedbed.study.label import Label

NOTICED = 1.1  # a ratio of FLOPs: less is within what a device makes of the same FLOPs
FLOORED = 1.01  # a ratio of samples: less is what whole batches leave of one budget
SAMPLES = "budget.samples"
ASKED = ("budget", SAMPLES)  # the main part of a factor whose question is the budget itself


def judge(draft: Draft) -> Iterator[Finding]:
    for factor in draft.study.factors:
        if factor.main in ASKED:
            continue
        yield from _samples(draft, factor)
        yield from _arithmetic(draft, factor)


def _samples(draft: Draft, factor: Factor) -> Iterator[Finding]:
    seen = {id(c): c.recipe.budget.steps * c.recipe.budget.batch for c in draft.cells}
    least = 1.0 if SAMPLES in factor.paths else FLOORED
    by_level: dict[Label, set[int]] = {label: set() for label in factor.levels}
    for cell in draft.cells:
        by_level[cell.cell[factor.name]].add(seen[id(cell)])
    # Those that differ in this factor only; a fraction has none, so there all cells of each level.
    compared = [{seen[id(c)] for c in group} for group in alike(factor, draft.cells)]
    compared = compared or [{end(own) for own in by_level.values()} for end in (min, max)]
    if all(max(own) <= least * min(own) for own in compared):
        return
    name, declared = factor.name, any(beneath(SAMPLES, path) for path in factor.also_moves)
    field = SAMPLES if SAMPLES in factor.paths else "budget"  # that some level sets a part of
    told = {label: tuple(f"{n:,}" for n in sorted(own)) for label, own in by_level.items()}
    batches = sorted({cell.recipe.budget.batch for cell in draft.cells})
    whole = f" that is a multiple of {math.lcm(*batches):,}" if len(batches) > 1 else ""
    yield Finding(
        "caution" if declared else "error",
        f"the samples seen move with {name}: {equation(told)}{' (declared)' if declared else ''}",
        f"the levels of {name} see unequal numbers of samples, in whole batches: more of them is "
        "better by itself",
        f"give all levels one {SAMPLES}{whole}, or a Factor of its own; where the levels are meant "
        f'to have unequal ones, declare it: Factor("{name}", ..., also_moves=("{field}",))',
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
