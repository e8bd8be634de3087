"""Factors that move together in the cells that are left: neither's effect is its own."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from seedbed.plan.lint.rule import Draft, Finding, Rule
from seedbed.study.factor import Factor
from seedbed.study.label import Label, label_text


def judge(draft: Draft) -> Iterator[Finding]:
    factors = draft.study.factors
    every = math.prod(len(factor.levels) for factor in factors)
    if not draft.by_hand or len(draft.cells) == every:
        return
    found = [
        finding
        for one, other in itertools.combinations(factors, 2)
        if (finding := _of_two(draft, one, other)) is not None
    ]
    yield from found
    if not found and (lacking := _lacking(draft)):
        yield Finding(
            "caution",
            f"the {len(draft.cells)} cells cannot tell all main effects apart: {lacking} too few "
            "of them differ in their own way",
            "the report gives no value for the effects that are mixed",
            "train more cells, or choose them with optimal=N, which picks cells that can",
        )


def _of_two(draft: Draft, one: Factor, other: Factor) -> Finding | None:
    """Whether a level of `one` goes with a single level of `other` in every cell, or the reverse"""
    pairs = {(cell.cell[one.name], cell.cell[other.name]) for cell in draft.cells}
    forth, back = len(pairs) == len(one.levels), len(pairs) == len(other.levels)
    if not (forth or back):
        return None
    if not forth:
        one, other, pairs = other, one, {(b, a) for a, b in pairs}
    both = forth and back
    return Finding(
        "error" if both else "caution",
        f"{other.name} moves with {one.name} in every cell: {_told(pairs)}",
        f"what is found of {other.name} is found of {one.name} as well: no cell tells them apart"
        if both
        else f"what is found between levels of {other.name} is found of {one.name} as well; "
        f"levels of {one.name} are compared within one {other.name}",
        f"train cells with other levels of {other.name} at one level of {one.name}"
        + ("" if both else f", unless {one.name} is meant to be nested in {other.name}"),
    )


def _told(pairs: set[tuple[Label, Label]]) -> str:
    return ", ".join(
        f"{label_text(a)} with {label_text(b)}"
        for a, b in sorted(pairs, key=lambda pair: (label_text(pair[0]), label_text(pair[1])))
    )


def _lacking(draft: Draft) -> int:
    """By how much the rank of a model of main effects falls short of its parameters."""
    columns = [np.ones(len(draft.cells))]
    for factor in draft.study.factors:
        labels = [cell.cell[factor.name] for cell in draft.cells]
        columns += [
            np.array([label == level for label in labels], dtype=float)
            for level in list(factor.levels)[1:]
        ]
    model = np.column_stack(columns)
    return len(columns) - int(np.linalg.matrix_rank(model.T @ model, hermitian=True))


RULE = Rule("can the factors be told apart?", judge)
