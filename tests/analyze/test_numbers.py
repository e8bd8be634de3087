"""How the numbers of a response are written. Oracle: what its metric declares, in words by hand."""

from __future__ import annotations

import json

from seedbed.analyze.numbers import unit_of
from seedbed.metric import Metric
from seedbed.plan.design import Design
from seedbed.plan.plan import plan
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import scale_named
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.variants import CLIP, DECLIP

STUDY = Study(
    name="s",
    question="?",
    base=Recipe.paper(objective=CLIP),
    factors=(Factor("supervision", at="objective", levels={"clip": CLIP, "declip": DECLIP}),),
    responses=("zeroshot/top1", "final/loss_simsiam", "final/loss", "cost/device_hours"),
)


def test_a_share_of_any_task_is_percent_and_its_differences_are_points() -> None:
    recall = unit_of(
        Metric("retrieval/text_to_image_r1", "Recall at 1", "share"), [0.25, 0.5], [0.01]
    )
    assert (recall.value(0.3125), recall.value_unit) == ("31.2", "%")
    assert (recall.difference(0.1), recall.difference_unit) == ("+10.0", "points")


def test_what_is_no_share_is_not_taken_for_one_by_its_name() -> None:
    unit = unit_of(Metric("own/accuracy_loss", "Own", "loss", higher_is_better=False), [0.5, 0.25])
    assert (unit.value(0.5), unit.value_unit, unit.less_is_better) == ("0.500", "", True)


def test_a_design_alone_says_what_each_response_is() -> None:
    text = json.dumps(plan(STUDY, scale_named("paper")).design().to_json())
    design = Design.from_json(json.loads(text))
    found = [design.metric(name) for name in design.responses]
    assert [(m.label, m.kind, m.higher_is_better) for m in found] == [
        ("Caption retrieval top-1 among all", "share", True),
        ("Final loss of simsiam", "loss", False),
        ("Final training loss", "loss", False),
        ("Device-hours", "cost", False),
    ]


def test_a_metric_of_another_version_is_read_from_the_design() -> None:
    own = Metric("own/error", "Own error", "share", higher_is_better=False)
    unit = unit_of(Design(study="s", metrics=(own,)).metric("own/error"), [0.1, 0.2])
    assert (unit.label, unit.value(0.1), unit.less_is_better) == ("Own error", "10.0", True)


def test_a_metric_that_nobody_declared_is_a_plain_number() -> None:
    assert Design(study="s").metric("own/error") == Metric("own/error")
