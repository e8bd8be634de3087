"""A term that compares token by token, on a tower that gives a single one."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed.model.objective import Objective
from seedbed.model.towers.image import ImageTower
from seedbed.plan.counts import count_image
from seedbed.plan.lint.rule import Draft, Finding, Rule
from seedbed.plan.lint.which import common_levels, leaving_out


def judge(draft: Draft) -> Iterator[Finding]:
    assert draft.costs  # towers that cannot be built are refused
    known: dict[tuple[ImageTower, Objective], bool] = {}
    single = []
    for index, cell in enumerate(draft.cells):
        both = cell.recipe.image, cell.recipe.objective
        if both not in known:
            known[both] = _has_one(*both)
        if known[both]:
            single.append(index)
    if not single:
        return
    first = draft.cells[single[0]]
    levels = common_levels(single, draft.cells, draft.study.factors)
    more = f", and in {len(single) - 1} more" if len(single) > 1 else ""
    image = first.recipe.image
    yield Finding(
        "error",
        f"'{image.name}' gives one token of {image.size} px in the cell '{first.cell}'{more}",
        "a term there compares token by token, and with a single one it compares whole pictures",
        "raise image.size, choose a tower with a finer map"
        + (f", or {leaving_out(levels)}" if levels else ""),
    )


def _has_one(tower: ImageTower, objective: Objective) -> bool:
    """Whether a term reads the tower's tokens, and there is one only."""
    kinds = {need.kind for need in objective.needs if need.view.modality == "image"}
    if "tokens" not in kinds:
        return False
    tokens = count_image(tower, pooled=bool(kinds & {"embed", "pooled"}), tokens=True).tokens
    return tokens[:1] == (1,)


RULE = Rule("do terms that compare tokens have several?", judge)
