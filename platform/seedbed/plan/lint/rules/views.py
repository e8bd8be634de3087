"""Levels that read different views of a sample: other crops, other captions."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed.data.views import View
from seedbed.plan.confounded import described, equation
from seedbed.plan.lint.rule import Draft, Finding, Rule


def judge(draft: Draft) -> Iterator[Finding]:
    for name, read in draft.views.items():
        told = equation({label: " + ".join(views) for label, views in read.items()})
        made = _made(draft)
        yield Finding(
            "caution",
            f"the views of a sample move with {name}: {told}",
            f"what is found of {name} is found of {name} + views: {made}",
            "let every level read the same views (COMMON_VIEWS of seedbed.variants does for the "
            f"paper's five), or speak of {name} + views",
        )


def _made(draft: Draft) -> str:
    """What makes each view that some cell reads: `image by RandomResizedCrop`."""
    by_kind: dict[str, list[str]] = {}
    views = {view for cell in draft.cells for view in cell.recipe.objective.views}
    for view in sorted(views):
        by_kind.setdefault(_kind(draft, view), []).append(view.name)
    return described(f"{described(names)} {kind}" for kind, names in by_kind.items())


def _kind(draft: Draft, view: View) -> str:
    kinds = {type(cell.recipe.augment.of(view)).__name__ for cell in draft.cells}
    return "as it is" if kinds == {"Augmentation"} else f"by {' or '.join(sorted(kinds))}"


RULE = Rule("do all levels read the same views?", judge)
