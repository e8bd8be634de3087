"""The looks that a study declares. Oracle: what is stated here by hand."""

from __future__ import annotations

from typing import Any

import pytest

from seedbed.errors import StudyError
from seedbed.plan.design import Design
from seedbed.plan.plan import plan
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import SCALES
from seedbed.study.claim import Claim
from seedbed.study.contrast import Contrast
from seedbed.study.factor import Factor
from seedbed.study.looks import METHODS, Looks
from seedbed.study.study import Study
from seedbed.variants import CLIP

CLAIM = Claim("C1", "Deeper is better.", Contrast("depth", 2, 1))


def study(looks: Looks | None = None, **fields: Any) -> Study:
    return Study(
        name="looked",
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("depth", at="text.layers", levels=(1, 2)),),
        looks=looks,
        **{"claims": (CLAIM,)} | fields,
    )


def test_looks_rise_to_the_most() -> None:
    assert Looks(first=3, by=2, most=8).counts == (3, 5, 7, 8)
    assert Looks(first=3, by=5, most=8).counts == (3, 8)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"first": 1}, "Looks.first is 1"),
        ({"most": 3}, "Looks.most is 3"),
        ({"by": 0}, "Looks.by is 0"),
        ({"method": "pococ"}, "Did you mean 'pocock'"),
        ({"until": "claim decided"}, "Did you mean 'claims decided'"),
        ({"until": -0.1}, "Looks.until is -0.1"),
        ({"futility": 1.0}, "Looks.futility is 1.0"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(StudyError, match=words.replace(".", r"\.")):
        Looks(**fields)


def test_a_chance_that_is_not_stated_is_the_methods_own() -> None:
    assert Looks() == Looks(futility=0.3)
    assert Looks(method="pocock") == Looks(method="pocock", futility=0.2)
    assert "under 30 % of it" in Looks().words
    assert "chance" not in Looks(futility=0).words


def test_a_study_without_claims_needs_the_width_of_an_interval() -> None:
    with pytest.raises(StudyError, match="the study has no claim"):
        study(Looks(), claims=())
    assert study(Looks(until=0.01), claims=()).looks is not None


def test_looks_until_claims_are_decided_need_a_claim_about_the_scale() -> None:
    far = Claim("C2", "Deeper is better.", Contrast("depth", 2, 1), scale="paper")
    looked = study(Looks(), claims=(far,))
    with pytest.raises(StudyError, match="no claim is about demo") as fault:
        plan(looked, SCALES["demo"])
    assert "--scale paper" in fault.value.mend
    assert "Looks(until=0.01)" in fault.value.mend
    with pytest.raises(StudyError, match=r"no claim is about paper with budget\.samples = 12800"):
        plan(looked, SCALES["paper"], overrides={"budget.samples": 12_800})
    assert plan(looked, SCALES["paper"]).judged_claims == (far,)
    assert plan(study(Looks(), claims=(far, CLAIM)), SCALES["demo"]).judged_claims == (CLAIM,)
    assert plan(study(Looks(until=0.01), claims=(far,)), SCALES["demo"]).judged_claims == ()


def test_seeds_are_those_of_the_most_and_others_are_refused() -> None:
    looked = study(Looks(first=2, most=4))
    assert {trial.seed for trial in looked.trials(SCALES["smoke"])} == {0, 1, 2, 3}
    with pytest.raises(StudyError, match="there are 3 seeds, and Looks"):
        study(Looks(first=2, most=4), seeds=3)
    with pytest.raises(StudyError, match="there are 5 seeds"):
        plan(looked, SCALES["smoke"], seeds=tuple(range(5)))


def test_every_look_has_all_cells_with_the_same_seeds() -> None:
    looks = Looks(first=2, most=4)
    whole = plan(study(looks, seeds=(7, 1, 5, 3)), SCALES["smoke"])
    for num in looks.counts:
        part = whole.of_seeds(num)
        assert {(t.cell["depth"], t.seed) for t in part.trials} == {
            (depth, seed) for depth in (1, 2) for seed in (7, 1, 5, 3)[:num]
        }
        assert part.variation == whole.variation


@pytest.mark.parametrize("change", [{"most": 6}, {"method": METHODS[1]}, {"futility": 0.1}])
def test_another_rule_is_another_run_of_the_study(change: dict[str, Any]) -> None:
    stated = {"first": 2, "most": 5}
    plans = [
        plan(study(looks), SCALES["smoke"])
        for looks in (None, Looks(**stated), Looks(**stated | change))
    ]
    assert len({one.variation for one in plans}) == 3
    assert len({one.design().overrides.get("looks") for one in plans}) == 3


def test_the_design_holds_the_rule() -> None:
    looks = Looks(first=2, by=3, most=9, until=0.02, method="pocock")
    design = plan(study(looks), SCALES["smoke"]).design()
    assert design.sequential == looks
    assert Design.from_json(design.to_json()).sequential == looks
