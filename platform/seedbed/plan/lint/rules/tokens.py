"""A term that compares token by token, on a tower that gives a single one."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed.model.objective import Objective
from seedbed.model.towers.image import ImageTower
from seedbed.plan.lint.rule import Draft, Finding, Rule
from seedbed.plan.lint.which import leaving_out, levels_in
from seedbed.plan.tokens import has_one_token


def judge(draft: Draft) -> Iterator[Finding]:
    assert draft.costs  # towers that cannot be built are refused
    known: dict[tuple[ImageTower, Objective], bool] = {}
    single = []
    for index, cell in enumerate(draft.cells):
        both = cell.recipe.image, cell.recipe.objective
        if both not in known:
            known[both] = has_one_token(*both)
        if known[both]:
            single.append(index)
    if not single:
        return
    first = draft.cells[single[0]]
    levels = levels_in(single, draft.cells, draft.study.factors)
    more = f", and in {len(single) - 1} more" if len(single) > 1 else ""
    image = first.recipe.image
    yield Finding(
        "error",
        f"'{image.name}' gives one token of {image.size} px in the cell '{first.cell}'{more}",
        "a term there compares token by token, and with a single one it compares whole pictures",
        "raise image.size, choose a tower with a finer map"
        + (f", or {leaving_out(levels)}" if levels else ""),
    )


RULE = Rule("do terms that compare tokens have several?", judge)
