"""Trials that may end before their budget, in a study that compares them."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed.plan.lint.rule import Draft, Finding, Rule


def judge(draft: Draft) -> Iterator[Finding]:
    if draft.stops_early:
        yield Finding(
            "error",
            f"trials may be stopped before their budget: {draft.stops_early}",
            "the contrasts would compare trials of unequal budgets, of which those that learn "
            "slowly at first were dropped",
            "stop early in a declared screening phase only, and train what survives it anew",
        )


RULE = Rule("does every trial that is compared get its budget?", judge)
