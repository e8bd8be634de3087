"""Claims about combinations of levels that no cell has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from seedbed.plan.lint.rule import Draft, Finding, Rule
from seedbed.study.contrast import Contrast
from seedbed.study.label import Label, label_text


def judge(draft: Draft) -> Iterator[Finding]:
    study = draft.study
    if study.design is not None and study.design.order == 1:
        return  # its model adds main effects up: it needs no cell with both levels
    for claim in study.claims:
        for contrast in claim.contrasts:
            absent = _absent(draft, contrast)
            if absent:
                yield Finding(
                    "error",
                    f"claim {claim.id} compares levels that no cell has together: {absent}",
                    "no trial will bear on it, and its verdict can only be 'not estimable'",
                    "train such a cell, or drop that contrast",
                )
                break


def _absent(draft: Draft, contrast: Contrast) -> str:
    """The first pair of a compared level and one that is held, which no cell has; "" for none."""
    for held in (contrast.at, contrast.less_at):
        for label in (contrast.level, contrast.over):
            for name, at in held.items():
                if not _trained(draft, {contrast.of: label, name: at}):
                    return f"{contrast.of}={label_text(label)} with {name}={label_text(at)}"
    return ""


def _trained(draft: Draft, levels: Mapping[str, Label]) -> bool:
    return any(
        all(label_text(cell.cell[name]) == label_text(label) for name, label in levels.items())
        for cell in draft.cells
    )


RULE = Rule("can every claim be judged?", judge)
