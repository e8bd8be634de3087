"""What may be tuned, and by what budget. Oracle: the rules of the Deep Learning Tuning Playbook."""

from __future__ import annotations

from typing import Any

import pytest

from seedbed.errors import StudyError
from seedbed.plan.plan import plan
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import SCALES
from seedbed.study.factor import Factor
from seedbed.study.nuisance import Nuisance, Search, Tuning, parse_search
from seedbed.study.study import Study
from seedbed.variants import AS_RELEASED, CLIP

LR = Search("optimizer.lr", low=1e-4, high=3e-3, log=True)
DEPTH = Factor("depth", at="text.layers", levels=(3, 12))


def study(*space: Search, factor: Factor = DEPTH, **fields: Any) -> Study:
    base = Recipe.paper(objective=CLIP)
    return Study(name="s", question="?", base=base, factors=(factor,), nuisance=space, **fields)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: Search("optimizer.lr", low=3e-3, high=1e-4), "low is 0.003"),
        (lambda: Search("optimizer.lr", low=0.0, high=1e-4, log=True), "low is 0.0"),
        (lambda: Search("optimizer.lr", low=0.0, high=float("nan")), "high is nan"),
        (lambda: study(Search("optimizer.lrr", low=1e-4, high=1e-3)), "lrr"),
        (lambda: study(Search("precision", low=0, high=1)), "the field is 'fp32'"),
        (lambda: study(Search("optimizer.beta2", low=0.9, high=1.0)), "reaches to 1.0"),
        (lambda: study(Search("budget.samples", low=10**6, high=10**8)), "is a nuisance field"),
        (lambda: study(Search("text.layers", low=1, high=12)), "set by Factor 'depth'"),
        (
            lambda: study(LR, factor=Factor("supervision", AS_RELEASED)),
            "set by Factor 'supervision'",
        ),
        (lambda: study(LR, LR), "searched twice"),
        (lambda: study(tuning=Tuning()), "no field is tuned"),
        (lambda: Tuning(trials=1), "trials is 1"),
        (lambda: Tuning(sampler="random"), "sampler is 'random'"),
        (lambda: Tuning(sampler="tpe", trials=8, rounds=6), "rounds is 6"),
        (lambda: Tuning(rounds=2), "rounds is 2"),
        (lambda: study(LR, tuning=Tuning(response="zeroshot/top7")), "'zeroshot/top7'"),
        (lambda: parse_search("optimizer.lr"), "--tune optimizer.lr"),
        (lambda: parse_search("optimizer.lr=1e-4"), "--tune optimizer.lr=1e-4"),
    ],
)
def test_a_search_that_cannot_be_is_refused_where_it_is_stated(made: Any, said: str) -> None:
    with pytest.raises(StudyError) as error:
        made()
    assert said in error.value.what and error.value.mend


def test_the_search_and_the_comparison_have_no_seed_in_common() -> None:
    made = study(LR, tuning=Tuning(seeds=(2, 3)))
    with pytest.raises(StudyError, match="the seed 2 is one of the search and of the comparison"):
        plan(made, SCALES["paper"], seeds=(0, 1, 2))
    assert plan(made, SCALES["paper"], seeds=(0, 1)).nuisance is not None


def test_a_field_that_is_tuned_is_not_set_by_hand() -> None:
    with pytest.raises(StudyError, match=r"set by --set optimizer\.lr"):
        plan(study(LR), SCALES["paper"], overrides={"optimizer.lr": 1e-3})


@pytest.mark.parametrize(
    ("tuning", "sizes"),
    [
        (Tuning(trials=8), (8,)),
        (Tuning(trials=8, sampler="tpe"), (4, 2, 2)),
        (Tuning(trials=9, sampler="tpe", rounds=4), (5, 2, 1, 1)),
        (Tuning(trials=2, sampler="tpe"), (1, 1)),
        (Tuning(trials=8, sampler="tpe", rounds=1), (8,)),
    ],
)
def test_rounds_share_the_budget(tuning: Tuning, sizes: tuple[int, ...]) -> None:
    assert tuning.sizes == sizes and sum(sizes) == tuning.trials


def test_a_space_on_the_command_line_is_on_a_log_scale_from_a_ratio_of_ten_on() -> None:
    assert parse_search("optimizer.lr=1e-4:3e-3") == LR
    assert parse_search("optimizer.weight_decay=0:0.5") == Search("optimizer.weight_decay", 0, 0.5)
    whole = parse_search("budget.warmup_samples=1_000:200_000".replace("_", ""))
    assert (whole.low, whole.high, whole.log) == (1_000, 200_000, True)
    assert isinstance(whole.low, int)


def test_an_edge_is_the_outermost_tenth_of_the_space() -> None:
    edges = {value: LR.edge(value) for value in (1e-4, 1.4e-4, 1.5e-4, 5e-4, 2e-3, 2.2e-3, 3e-3)}
    # By hand: 30 to the power of 0.1 is 1.405, and of 0.9 is 21.35.
    assert list(edges.values()) == ["low", "low", "", "", "", "high", "high"]


def test_another_search_is_another_run_of_the_study() -> None:
    made, other = study(LR), study(LR, tuning=Tuning(trials=16))
    plain = study()
    plans = [plan(one, SCALES["paper"]) for one in (made, other, plain)]
    assert len({one.variation for one in plans}) == 3 and plans[2].variation == "paper"
    assert len({str(one.design().overrides) for one in plans}) == 3
    nuisance = made.nuisance
    assert nuisance is not None and Nuisance.from_json(nuisance.to_json()) == nuisance
