"""Claims as they are stated. Oracle: the messages that a person needs, and digests by hand."""

from __future__ import annotations

import hashlib
import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from seedbed import Claim, Contrast, Factor, Recipe, Study
from seedbed.commands.study.lines import unjudged_claims
from seedbed.errors import StudyError
from seedbed.plan.plan import plan
from seedbed.recipe.scale import scale_named
from seedbed.study.claim import digest_of
from seedbed.variants import CLIP, DECLIP

CHEAP = Contrast("depth", 3, 12, direction="above", margin=-0.01)


def study(*claims: Claim, **more: Any) -> Study:
    return Study(
        name="depths",
        question="Does depth matter?",
        base=Recipe.paper(objective=CLIP),
        factors=(
            Factor("depth", at="text.layers", levels=(3, 6, 12)),
            Factor("supervision", at="objective", levels={"clip": CLIP, "declip": DECLIP}),
        ),
        claims=claims,
        **more,
    )


@pytest.mark.parametrize(
    ("contrasts", "options", "words"),
    [
        ((), {}, "has no contrast"),
        ((Contrast("dept", 3, 12),), {}, "Did you mean 'depth'"),
        ((Contrast("depth", 3, 24),), {}, "no level '24'"),
        ((Contrast("depth", 3, 3),), {}, "compared with itself"),
        ((Contrast("depth", 3, 12, at={"supervision": "deklip"}),), {}, "Did you mean 'declip'"),
        ((Contrast("depth", 3, 12, at={"depth": 6}),), {}, "both compared and held"),
        ((Contrast("depth", 3, 12, less_at={"supervision": "clip"}),), {}, "different factors"),
        (
            (
                Contrast(
                    "depth", 3, 12, at={"supervision": "clip"}, less_at={"supervision": "clip"}
                ),
            ),
            {},
            "the same levels",
        ),
        ((Contrast("depth", 3, 12, direction="over"),), {}, "the direction is 'over'"),
        ((Contrast("depth", 3, 12, direction="within"),), {}, "the margin is 0.0"),
        ((Contrast("depth", 3, 12, margin=-1),), {}, "give -0.01 for -1 points"),
        ((Contrast("depth", 3, 12, margin=float("nan")),), {}, "the margin is nan"),
        ((CHEAP,), {"alpha": 0.7}, "alpha is 0.7"),
        ((CHEAP,), {"response": "zeroshot/top2"}, "Did you mean 'zeroshot/top1'"),
        ((CHEAP,), {"scale": "papre"}, "Did you mean 'paper'"),
        ((CHEAP,), {"scale": ("demo", "large")}, "there is no scale 'large'"),
        ((CHEAP,), {"scale": 3}, "its scale is 3"),
    ],
)
def test_a_claim_that_cannot_be_judged_stops_the_study_at_its_definition(
    contrasts: tuple[Contrast, ...], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(StudyError) as raised:
        study(Claim("C1", "It is cheap.", *contrasts, **options))
    assert words in str(raised.value) and "C1" in str(raised.value)


def test_two_claims_cannot_share_an_id() -> None:
    with pytest.raises(StudyError, match="two claims have the id 'C1'"):
        study(Claim("C1", "It is cheap.", CHEAP), Claim("C1", "It is not.", CHEAP))


def test_the_design_holds_the_claims_and_no_claims_change_no_trial() -> None:
    stated = plan(study(Claim("C1", "It is cheap.", CHEAP)), scale_named("demo"))
    silent = plan(study(), scale_named("demo"))
    assert [trial.key for trial in stated.trials] == [trial.key for trial in silent.trials]
    assert "claims" not in silent.design().to_json()
    assert stated.design().to_json()["claims"] == [
        {
            "id": "C1",
            "statement": "It is cheap.",
            "response": "",
            "alpha": 0.05,
            "source": "",
            "contrasts": [
                {
                    "of": "depth", "level": 3, "over": 12, "at": {}, "less_at": {},
                    "direction": "above", "margin": -0.01,
                }
            ],
        }
    ]  # fmt: skip


def test_a_digest_covers_every_word_of_a_claim_and_no_order_of_fields() -> None:
    one = Claim("C1", "It is cheap.", CHEAP).to_json()
    text = json.dumps(one, sort_keys=True)
    assert digest_of(one) == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert digest_of(dict(reversed(one.items()))) == digest_of(one)
    others = [
        Claim("C1", "It is very cheap.", CHEAP),
        Claim("C1", "It is cheap.", CHEAP, alpha=0.01),
        Claim("C1", "It is cheap.", Contrast("depth", 3, 12, margin=-0.02)),
        Claim("C1", "It is cheap.", CHEAP, scale="paper"),
        Claim("C1", "It is cheap.", CHEAP, scale=("small", "paper")),
    ]
    assert len({digest_of(claim.to_json()) for claim in others} | {digest_of(one)}) == 6


def test_the_scale_of_a_claim_stands_in_the_design() -> None:
    claims = (
        Claim("C1", "It is cheap.", CHEAP, scale="paper"),
        Claim("C2", "It is cheap.", CHEAP, scale=("small", "paper")),
        Claim("C3", "It is cheap.", CHEAP),
    )
    stated = plan(study(*claims), scale_named("demo")).design().to_json()["claims"]
    assert [claim.get("scale") for claim in stated] == [["paper"], ["small", "paper"], None]


def test_a_plan_says_which_claims_it_will_not_judge() -> None:
    claims = (
        Claim("C1", "It is cheap.", CHEAP, scale="paper"),
        Claim("C2", "It is cheap.", CHEAP),
    )
    (line,) = unjudged_claims(plan(study(*claims), scale_named("demo")))
    assert "C1" in line and "C2" not in line and "paper" in line and "no verdict" in line
    assert unjudged_claims(plan(study(*claims), scale_named("paper"))) == []
    # Fewer samples than the paper's are another scale, as the report has it; its data are not.
    less = plan(study(*claims), scale_named("paper"), overrides={"budget.samples": 100_000_000})
    (line,) = unjudged_claims(less)
    assert "C1" in line and "at paper with budget.samples = 100000000 the report" in line
    assert [one.id for one in less.judged_claims] == ["C2"]
    other = plan(study(*claims), scale_named("paper"), overrides={"corpus.uri": "demo:coloured"})
    assert unjudged_claims(other) == []


def test_the_paper_s_claims_are_about_the_paper_s_scale() -> None:
    folder = Path(__file__).parent.parent.parent / "studies"
    found = {}
    for path in sorted(folder.glob("*.py")):
        claims = runpy.run_path(str(path))["study"].claims
        found |= {claim.id: claim.scale for claim in claims if claim.source}
    assert found == dict.fromkeys(("C1", "C2", "C3", "C4", "C5", "C6"), ("paper",))


def test_a_study_says_what_its_intervals_rest_on_and_the_design_holds_it() -> None:
    chosen = plan(study(error="pooled"), scale_named("demo"))
    assert chosen.design().to_json()["error"] == {"kind": "pooled"}
    # The default is not in the design: no study that says nothing becomes another one.
    assert "error" not in plan(study(), scale_named("demo")).design().to_json()
    assert [t.key for t in chosen.trials] == [t.key for t in plan(study(), chosen.scale).trials]
    with pytest.raises(StudyError, match=r"Study\.error is 'poold'") as fault:
        study(error="poold")
    assert "Did you mean 'pooled'?" in fault.value.mend
