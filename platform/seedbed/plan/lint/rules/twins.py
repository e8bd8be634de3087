"""Cells that compute the same: what tells them apart is read by nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from seedbed.data.views import View
from seedbed.model.objective import Objective
from seedbed.plan.confounded import ABSENT, described, varying_fields
from seedbed.plan.lint.rule import Draft, Finding, Rule
from seedbed.plan.lint.which import leaving_out, levels_in
from seedbed.recipe.recipe import Recipe
from seedbed.study.cell import Cell
from seedbed.study.label import Label

_VIEW = "augment."


def judge(draft: Draft) -> Iterator[Finding]:
    varying = varying_fields(draft.cells) if len(draft.cells) > 1 else []
    alike: dict[tuple[Any, ...], list[int]] = {}
    unread: set[str] = set()
    known: dict[Objective, tuple[set[str], bool]] = {}
    for index, cell in enumerate(draft.cells):
        objective = cell.recipe.objective
        if objective not in known:
            known[objective] = _reads(objective)
        nothing_reads = _unread(cell.recipe, varying, *known[objective])
        values = tuple(
            None if path in nothing_reads else cell.flat.get(path, ABSENT) for path in varying
        )
        alike.setdefault(values, []).append(index)
        unread |= nothing_reads
    twins = [group for group in alike.values() if len(group) > 1]
    if twins:
        yield _found(draft, twins, unread)


def _found(draft: Draft, twins: list[list[int]], unread: set[str]) -> Finding:
    base = {factor.name: factor.baseline(draft.study.base) for factor in draft.study.factors}
    dropped: list[int] = []
    for group in twins:
        # The one with most factors at the baseline stays.
        kept = max(group, key=lambda i: _at_baseline(draft.cells[i].cell, base))
        dropped += [index for index in group if index != kept]
    one, other, *_ = [draft.cells[index].cell for index in twins[0]]
    levels = levels_in(dropped, draft.cells, draft.study.factors)
    more = f", and {len(dropped) - 1} more such" if len(dropped) > 1 else ""
    return Finding(
        "error",
        f"the cells '{one}' and '{other}' compute the same{more}",
        f"they differ in {described(sorted(_differing(draft, twins, unread)))}, which nothing "
        "reads there: a difference between them would be rounding",
        leaving_out(levels) if levels else "take the levels out, or switch on what reads the field",
    )


def _at_baseline(cell: Cell, base: Mapping[str, Label]) -> int:
    return sum(cell[name] == label for name, label in base.items())


def _differing(draft: Draft, twins: list[list[int]], unread: set[str]) -> set[str]:
    """Of the fields that nothing reads, those in which twins differ."""
    return {
        path
        for group in twins
        for path in unread
        if len({draft.cells[index].flat.get(path, ABSENT) for index in group}) > 1
    }


def _reads(objective: Objective) -> tuple[set[str], bool]:
    """The names of the views that an objective reads, and whether it reads embeddings."""
    views: set[View] = set(objective.views)
    return {view.name for view in views}, any(need.kind == "embed" for need in objective.needs)


def _unread(recipe: Recipe, varying: list[str], views: set[str], embeds: bool) -> set[str]:
    """Those of the `varying` fields that have no part in what a recipe computes."""
    unread = set()
    for path in varying:
        if path.startswith(_VIEW):
            view = path.removeprefix(_VIEW).partition(".")[0]
            if view != "test" and view not in views:
                unread.add(path)
        elif (
            (path == "embed_dim" and not embeds)
            or (path == "optimizer.warmup_lr" and recipe.budget.warmup_samples == 0)
            or (path == "optimizer.decay_share" and recipe.optimizer.schedule == "cosine")
        ):
            unread.add(path)
    return unread


RULE = Rule("does every cell compute something of its own?", judge)
