"""What a study cannot take is refused in words. Oracle: the mistakes that people make, by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from seedbed.errors import StudyError
from seedbed.model.objective import Objective
from seedbed.model.terms.simsiam import SimSiam
from seedbed.plan.plan import plan
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import SCALES
from seedbed.study.claim import Claim
from seedbed.study.contrast import Contrast
from seedbed.study.factor import Factor
from seedbed.study.measured import ALWAYS, measured
from seedbed.study.study import Study
from seedbed.variants import CLIP, DECLIP

DEPTH = Factor("depth", at="text.layers", levels=(1, 3))
CLAIM = Claim("C1", "Depth helps.", Contrast("depth", 3, 1))


def study(**fields: Any) -> Study:
    given = {
        "name": "s",
        "question": "?",
        "base": Recipe.paper(objective=CLIP),
        "factors": (DEPTH,),
    }
    return Study(**given | fields)


MISTAKES: dict[str, tuple[Callable[[], Any], str, str]] = {
    "responses as a text": (
        lambda: study(responses="zeroshot/top1"),
        "responses is 'zeroshot/top1'",
        "give responses=('zeroshot/top1',), with the comma",
    ),
    "one factor bare": (
        lambda: study(factors=DEPTH),
        "factors is Factor('depth', levels=[1, 3])",
        "with the comma",
    ),
    "factors of something else": (
        lambda: study(factors=("depth",)),
        "factors holds 'depth'",
        "give a Factor in its place",
    ),
    "one claim bare": (lambda: study(claims=CLAIM), "claims is Claim(", "with the comma"),
    "a fraction as a text": (
        lambda: study(fraction="a * b * c"),
        "fraction is 'a * b * c'",
        "with the comma",
    ),
    "seed for seeds": (lambda: study(seed=3), "Study takes no 'seed'", "Did you mean 'seeds'?"),
    "seeds as a text": (lambda: study(seeds="3"), "the seeds are '3'", "give seeds=3"),
    "seeds as a share": (lambda: study(seeds=2.5), "the seeds are 2.5", "give seeds=3"),
    "seeds as a flag": (lambda: study(seeds=True), "the seeds are True", "give seeds=3"),
    "a seed in the base": (
        lambda: study(base=Recipe.paper(objective=CLIP, seed=3)),
        "the base recipe has the seed 3",
        "give Study(seeds=(3,))",
    ),
    "a seed in a scale": (
        lambda: study(scales={"demo": {"seed": 7}}),
        "scale 'demo' has the seed 7",
        "give Study(seeds=(7,))",
    ),
    "an objective as the base": (
        lambda: study(base=CLIP),
        "the base is Objective(",
        "give Recipe.paper",
    ),
    "a name that is no text": (lambda: study(name=3), "a study is named '3'", "use letters"),
    "levels as a number": (
        lambda: Factor("depth", at="text.layers", levels=3),  # type: ignore[arg-type]
        "Factor 'depth': its levels are 3",
        "give two or more: levels=(3, ...)",
    ),
    "levels as a text": (
        lambda: Factor("precision", at="precision", levels="bf16"),
        "Factor 'precision': its levels are 'bf16'",
        "levels=('bf16', ...)",
    ),
    "level for levels": (
        lambda: Factor("depth", at="text.layers", level=(1, 3)),  # type: ignore[call-arg]
        "Factor takes no 'level'",
        "Did you mean 'levels'?",
    ),
    "a metric that is misspelt": (
        lambda: study(responses=("zeroshot/top_1",)),
        "no trial measures the response 'zeroshot/top_1'",
        "Did you mean 'zeroshot/top1'?",
    ),
    "a metric of a task that is not run": (
        lambda: study(responses=("retrieval/recall1",)),
        "no trial measures the response 'retrieval/recall1'",
        "Known: cost/device_hours",
    ),
    "a loss of a term that no cell has": (
        lambda: study(responses=("zeroshot/top1", "final/loss_simsiam")),
        "no trial measures the response 'final/loss_simsiam'",
        "final/loss_clip",
    ),
    "a metric twice": (
        lambda: study(responses=("zeroshot/top1", "zeroshot/top1")),
        "the response 'zeroshot/top1' is given twice",
        "once",
    ),
    "a metric that is no text": (lambda: study(responses=(1,)), "responses holds 1", "give a text"),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=list(MISTAKES))
def test_a_mistake_is_refused_at_definition_with_its_mend(
    mistake: tuple[Callable[[], Any], str, str],
) -> None:
    define, what, mend = mistake
    with pytest.raises(StudyError) as caught:
        define()
    assert what in caught.value.what
    assert mend in caught.value.mend
    assert caught.value.why


def test_losses_of_the_terms_that_some_cell_has_are_responses() -> None:
    by_objective = Factor("supervision", at="objective", levels={"clip": CLIP, "declip": DECLIP})
    made = study(
        factors=(by_objective,), responses=("final/loss_simsiam", "final/scale_logit", "final/loss")
    )
    assert made.responses == ("final/loss_simsiam", "final/scale_logit", "final/loss")


def test_no_two_metrics_are_called_the_same() -> None:
    assert len({metric.label for metric in ALWAYS.values()}) == len(ALWAYS)


def test_an_objective_declares_the_losses_of_its_own_terms() -> None:
    objective = CLIP + Objective(own=0.5 * SimSiam())
    known = measured([Recipe(objective=objective)])
    own = known["final/loss_own"]
    assert (own.label, own.kind, own.higher_is_better) == ("Final loss of own", "loss", False)
    assert "final/loss_clip" in known


def test_the_primary_response_is_the_study_s_first_at_every_scale() -> None:
    made = study(responses=("zeroshot/top5", "zeroshot/top1"))
    for scale in SCALES.values():
        assert plan(made, scale).responses == ("zeroshot/top5", "zeroshot/top1")
