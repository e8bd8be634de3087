"""Studies are refused at definition. Oracle: the words and limits that the errors promise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from seedbed.errors import StudyError
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import scale_named
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.variants import CLIP

BASE = Recipe.paper(objective=CLIP)
DEPTH = Factor("depth", at="text.layers", levels=(1, 3))


def study(*factors: Factor, **fields: Any) -> Study:
    return Study(name="s", question="?", base=BASE, factors=factors, **fields)


def test_a_wrong_path_names_the_factor_the_path_and_the_nearest_field() -> None:
    with pytest.raises(StudyError) as caught:
        study(Factor("depth", at="text.layer", levels=(1, 3)))
    assert caught.value.what == "Factor 'depth': Recipe.text has no 'layer'"
    assert caught.value.mend.startswith("Did you mean 'layers'? It has activation, context, heads")


def test_a_path_through_a_number_says_that_it_has_no_fields() -> None:
    with pytest.raises(StudyError, match=r"Recipe\.text\.layers has no 'depth'"):
        study(Factor("depth", at="text.layers.depth", levels=(1, 3)))


@pytest.mark.parametrize("value", ["three", 3.5, True, None])
def test_a_value_of_the_wrong_type_names_the_factor_and_the_field(value: object) -> None:
    with pytest.raises(StudyError, match=r"Factor 'depth': Recipe\.text\.layers takes int, not"):
        study(Factor("depth", at="text.layers", levels={"a": 1, "b": value}))


def test_a_value_that_the_tower_refuses_fails_at_definition() -> None:
    with pytest.raises(StudyError, match=r"Factor 'heads': .*does not divide by its 7 heads"):
        study(Factor("heads", at="text.heads", levels=(8, 7)))


@pytest.mark.parametrize("levels", [(1, 1), (1, "1")])
def test_two_levels_with_one_label_are_refused(levels: Sequence[Any]) -> None:
    with pytest.raises(StudyError, match="'depth' has two levels with the label '1'"):
        Factor("depth", at="text.layers", levels=levels)


@pytest.mark.parametrize("levels", [(), (1,)])
def test_fewer_than_two_levels_are_refused(levels: Sequence[Any]) -> None:
    with pytest.raises(StudyError, match=f"'depth' has {len(levels)} levels"):
        Factor("depth", at="text.layers", levels=levels)


def test_a_level_without_a_label_is_refused() -> None:
    with pytest.raises(StudyError, match="has no label"):
        Factor("loss", at="objective", levels=(CLIP, CLIP))


def test_a_bare_value_without_a_path_is_refused() -> None:
    with pytest.raises(StudyError, match="the level '1' is 1"):
        Factor("depth", levels=(1, 3))


def test_a_baseline_that_is_no_level_is_refused_with_the_nearest() -> None:
    with pytest.raises(StudyError, match="Did you mean 'deep'"):
        Factor("depth", at="text.layers", levels={"deep": 3, "flat": 1}, baseline="deeep")


def test_the_baseline_is_the_level_that_the_base_recipe_has() -> None:
    assert Factor("depth", at="text.layers", levels=(1, 12)).baseline(BASE) == 12
    assert Factor("depth", at="text.layers", levels=(1, 3)).baseline(BASE) == 1


def test_two_factors_with_one_name_are_refused() -> None:
    with pytest.raises(StudyError, match="two factors named 'depth'"):
        study(DEPTH, Factor("depth", at="text.width", levels=(256, 512)))


def test_two_factors_that_set_one_field_are_refused() -> None:
    with pytest.raises(StudyError, match=r"'depth' and 'again' both set text\.layers"):
        study(DEPTH, Factor("again", at="text.layers", levels=(6, 12)))


def test_a_factor_that_sets_a_part_of_what_another_sets_is_refused() -> None:
    small, large = BASE.text, BASE.patch("text.width", 256).text
    with pytest.raises(StudyError, match=r"both set text"):
        study(Factor("tower", at="text", levels={"small": small, "large": large}), DEPTH)


def test_a_factor_that_varies_the_seed_is_refused() -> None:
    with pytest.raises(StudyError, match="'luck' varies the seed"):
        study(Factor("luck", at="seed", levels=(0, 1)))


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        (0, "there are none"),
        ((), "there are none"),
        ((1, 2, 1), "the seed 1 is given twice"),
        ((0, -3), "the seed -3 is negative"),
        (-1, "there are none"),
    ],
)
def test_empty_repeated_and_negative_seeds_are_refused(seeds: Any, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        study(DEPTH, seeds=seeds)


def test_a_study_without_factors_or_responses_is_refused() -> None:
    with pytest.raises(StudyError, match="has no factors"):
        study()
    with pytest.raises(StudyError, match="has no responses"):
        study(DEPTH, responses=())


def test_an_unknown_scale_is_refused_with_the_nearest() -> None:
    with pytest.raises(StudyError, match="Did you mean 'demo'"):
        scale_named("dmo")
    with pytest.raises(StudyError, match="there is no scale 'dmo'"):
        study(DEPTH, scales={"dmo": {}})


def test_factors_are_crossed_with_each_seed_and_the_last_varies_fastest() -> None:
    crossed = study(DEPTH, Factor("lr", at="optimizer.lr", levels=(1e-3, 2e-3)), seeds=(5, 7))
    trials = crossed.trials(scale_named("paper"))
    found = [(t.seed, t.recipe.text.layers, t.recipe.optimizer.lr) for t in trials]
    assert found == [(s, n, lr) for s in (5, 7) for n in (1, 3) for lr in (1e-3, 2e-3)]
    assert len({trial.key for trial in trials}) == len(trials)


def test_cells_that_are_one_recipe_are_refused() -> None:
    same = study(Factor("n", levels={"a": {"text.layers": 3}, "b": {"text.layers": 3}}))
    with pytest.raises(StudyError, match=r"'n=a s=0' and 'n=b s=0' are the same recipe"):
        same.trials(scale_named("paper"))


def test_a_scale_patch_that_does_not_fit_names_its_scale() -> None:
    with pytest.raises(StudyError, match=r"scale 'demo': Recipe\.text has no 'layer'"):
        study(DEPTH, scales={"demo": {"text.layer": 3}}).trials(scale_named("demo"))
