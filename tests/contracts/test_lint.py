"""What every rule of the lint keeps, found by walking the folder: it finds what it is for in a
study that has it, and nothing in one that has not. Oracle: the studies below, written for one rule
each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from seedbed import Claim, Contrast, Corpus, Factor, Recipe, Study, forbid
from seedbed.plan.lint.examine import WIDTH, lint_lines
from seedbed.plan.lint.rule import Draft
from seedbed.plan.lint.rules import all_rules
from seedbed.plan.plan import plan
from seedbed.recipe.scale import SMOKE
from seedbed.variants import CLIP, DECLIP, FILIP, SLIP

RATE = Factor("rate", at="optimizer.lr", levels=(1e-3, 2e-3), baseline=1e-3)
DECAY = Factor("decay", at="optimizer.weight_decay", levels=(0.1, 0.2), baseline=0.1)
BETA = Factor("beta", at="optimizer.beta2", levels=(0.9, 0.98), baseline=0.9)


def draft(*factors: Factor, **fields: Any) -> Draft:
    given = {"base": Recipe.paper(objective=CLIP), "seeds": 2} | fields
    study = Study(name="s", question="?", factors=factors, **given)
    return Draft(plan(study, SMOKE))


def second(factor: Factor) -> Factor:
    """The factor with its second level as the baseline."""
    last = list(factor.levels)[-1]
    return Factor(factor.name, at=factor.at, levels=list(factor.levels), baseline=last)


def bundle(field: str, *values: Any, **fields: Any) -> Factor:
    objectives = {"clip": CLIP, "half": CLIP.weighted("clip", 0.5)}
    levels = {
        name: {"objective": objectives[name], field: value}
        for name, value in zip(objectives, values, strict=True)
    }
    return Factor("supervision", levels=levels, baseline="clip", **fields)


DIAGONAL = ({"rate": 1e-3, "decay": 0.1}, {"rate": 2e-3, "decay": 0.2})
CLAIM = Claim("C", "It helps.", Contrast("rate", 2e-3, 1e-3, at={"decay": 0.2}))
SHARDS = {"a": Corpus(uri="/data/a"), "b": Corpus(uri="/data/b")}
Made = Callable[[], Draft]
# By rule: its severity, and a study in which it finds something. A new rule is asked for here.
STATED: dict[str, list[tuple[str, Made]]] = {
    "baseline": [
        (
            "caution",
            lambda: draft(RATE, DECAY, constraints=(forbid(rate=1e-3, decay=0.1),)),
        ),
        ("error", lambda: draft(RATE, DECAY, listed=({"rate": 2e-3}, {"decay": 0.2}))),
        ("caution", lambda: draft(RATE, DECAY, second(BETA), fraction=("rate * decay * beta",))),
        ("caution", lambda: draft(RATE, DECAY, second(BETA), screening="plackett_burman")),
        (
            "caution",
            lambda: draft(
                RATE, DECAY, BETA, optimal=5, constraints=(forbid(rate=1e-3, decay=0.1),)
            ),
        ),
    ],
    "budgets": [
        ("error", lambda: draft(bundle("budget.samples", 640, 1280))),
        ("caution", lambda: draft(bundle("budget.samples", 640, 1280, also_moves=["budget"]))),
        (
            "caution",
            lambda: draft(Factor("self", at="objective", levels={"off": CLIP, "on": SLIP})),
        ),
    ],
    "claims": [
        (
            "error",
            lambda: draft(
                RATE, DECAY, claims=(CLAIM,), constraints=(forbid(rate=2e-3, decay=0.2),)
            ),
        )
    ],
    "corpus_size": [("caution", lambda: draft(Factor("data", at="corpus", levels=SHARDS)))],
    "empty_cells": [
        ("caution", lambda: draft(RATE, DECAY, constraints=(forbid(rate=2e-3, decay=0.2),)))
    ],
    "factors": [("error", lambda: draft(RATE, DECAY, listed=DIAGONAL))],
    "fields": [
        ("error", lambda: draft(bundle("optimizer.lr", 1e-3, 2e-3))),
        ("caution", lambda: draft(bundle("optimizer.lr", 1e-3, 2e-3, also_moves=["optimizer"]))),
        ("caution", lambda: draft(bundle("embed_dim", 32, 64))),
    ],
    "seeds": [("caution", lambda: draft(RATE, seeds=(4,)))],
    "tokens": [
        (
            "error",
            lambda: draft(
                Factor("tower", at="image.name", levels=("test_vit", "resnet18")),
                Factor("supervision", at="objective", levels={"clip": CLIP, "filip": FILIP}),
            ),
        )
    ],
    "twins": [
        (
            "error",
            lambda: draft(
                Factor("width", at="embed_dim", levels=(32, 64)),
                Factor("supervision", at="objective", levels={"clip": CLIP, "filip": FILIP}),
            ),
        )
    ],
    "views": [
        ("caution", lambda: draft(Factor("more", at="objective", levels={"a": CLIP, "b": DECLIP})))
    ],
}
EACH = pytest.mark.parametrize(
    ("name", "severity", "made"),
    [(name, *one) for name in all_rules() for one in STATED[name]],
)


@EACH
def test_a_rule_finds_what_it_is_for(
    name: str, severity: str, made: Made, counted_home: object
) -> None:
    found = list(all_rules()[name].judge(made()))
    assert [finding.severity for finding in found][:1] == [severity]
    for finding in found:
        assert finding.what and finding.why and finding.mend
        assert not finding.mend.endswith(".") and "  " not in finding.what
    assert all(len(line) <= WIDTH for line in lint_lines(found))


@pytest.mark.parametrize("name", all_rules())
def test_a_rule_finds_nothing_in_a_study_of_single_fields(name: str, counted_home: object) -> None:
    made = draft(RATE, DECAY, BETA, claims=(CLAIM,))
    assert list(all_rules()[name].judge(made)) == []
    # A design says itself what its cells cannot tell apart.
    halved = draft(RATE, DECAY, BETA, claims=(CLAIM,), fraction=("rate * decay * beta",))
    assert list(all_rules()[name].judge(halved)) == []
