"""One seed only: nothing to judge a difference by."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed.plan.lint.rule import Draft, Finding, Rule


def judge(draft: Draft) -> Iterator[Finding]:
    seeds = {trial.seed for trial in draft.plan.trials}
    if len(seeds) == 1:
        yield Finding(
            "caution",
            f"each cell is trained with one seed, {min(seeds)}",
            "nothing tells a difference from the noise between two runs of one cell: no interval "
            "and no p is given",
            "give --seeds 3, or Study(seeds=3); two are the least for an interval",
        )


RULE = Rule("is a cell repeated?", judge)
