"""Published values and bundled levels. Oracles: the errors' words, and recipes read by hand."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from seedbed.errors import StudyError
from seedbed.plan.confounded import moved_together
from seedbed.plan.plan import plan
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import SCALES, scale_named
from seedbed.study.factor import Factor
from seedbed.study.published import Published
from seedbed.study.study import Study
from seedbed.variants import AS_RELEASED, CLIP, UNIFIED

ROOT = Path(__file__).parents[2]
SUPERVISION = Factor("supervision", levels=UNIFIED, baseline="clip")
DEPTH = Factor("depth", at="text.layers", levels=(3, 12))


def study(*factors: Factor, **fields: Any) -> Study:
    return Study(
        name="s", question="?", base=Recipe.paper(objective=CLIP), factors=factors, **fields
    )


def published(values: dict[Any, Any], **fields: Any) -> Published:
    given: dict[str, Any] = {"factors": ("supervision", "depth"), "response": "zeroshot/top1"}
    return Published(source="a paper", values=values, **{**given, **fields})


def refusal(values: dict[Any, Any], **fields: Any) -> StudyError:
    with pytest.raises(StudyError) as caught:
        study(SUPERVISION, DEPTH, published=published(values, **fields))
    assert caught.value.what and caught.value.why and caught.value.mend
    return caught.value


def test_an_unknown_factor_and_an_unknown_label_name_the_nearest() -> None:
    wrong = refusal({("clip", 3): 0.3}, factors=("supervisions", "depth"))
    assert wrong.what == "Published: the study has no factor 'supervisions'"
    assert wrong.mend.startswith("Did you mean 'supervision'?")
    wrong = refusal({("declipp", 3): 0.3})
    assert wrong.what == "Published: Factor 'supervision' has no level 'declipp'"
    assert wrong.mend.startswith("Did you mean 'declip'?")
    assert "no level '4'" in refusal({("clip", 4): 0.3}).what


@pytest.mark.parametrize("value", [32.8, -0.1, float("nan"), float("inf"), "0.3", None, True])
def test_a_value_that_is_no_fraction_is_refused(value: object) -> None:
    wrong = refusal({("clip", 3): value})
    assert wrong.what == f"Published: the value at supervision=clip, depth=3 is {value!r}"
    assert wrong.mend == "give 0.328 for 32.8 %"


def test_cells_that_name_too_few_or_too_many_factors_are_refused() -> None:
    assert "has 1 labels" in refusal({("clip",): 0.3}).what
    assert "names 'depth' 0 times" in refusal({("clip",): 0.3}, factors=("supervision",)).what
    assert "is no cell" in refusal({("clip", 3): 0.3}, factors=()).what
    pairs = (("supervision", "clip"), ("depth", 3))
    assert "is given twice" in refusal({pairs: 0.3, pairs[::-1]: 0.4}, factors=()).what


def test_an_unknown_response_and_an_unknown_scale_are_refused() -> None:
    assert "'zeroshot/top1'?" in refusal({("clip", 3): 0.3}, response="zeroshot/top11").mend
    assert "there is no scale 'papers'" in refusal({("clip", 3): 0.3}, scale="papers").what
    assert "has no values" in refusal({}).what


def test_the_design_holds_the_values_as_json_that_reads_back_the_same() -> None:
    pairs = {(("depth", 3), ("supervision", "clip")): 0.3}
    made = study(SUPERVISION, DEPTH, published=published(pairs, factors=(), test_set="ImageNet"))
    design = plan(made, scale_named("demo")).design().to_json()
    assert design["published"] == {
        "source": "a paper",
        "response": "zeroshot/top1",
        "scale": "paper",
        "test_set": "ImageNet",
        "cells": [{"cell": {"depth": 3, "supervision": "clip"}, "value": 0.3}],
    }
    assert json.loads(json.dumps(design)) == design
    assert "published" not in plan(study(DEPTH), scale_named("demo")).design().to_json()


def test_the_papers_table_has_its_nine_values() -> None:
    found = runpy.run_path(str(ROOT / "studies" / "supervision.py"))["study"].published
    assert len(found.cells) == 9
    values = {tuple(cell.values()): value for cell, value in found.cells}
    assert values["defilip", "vit"] == 0.45 and ("defilip", "resnet") not in values
    assert values["filip", "resnet"] == 0.213 and values["declip", "resnet"] == 0.444


def test_levels_that_bring_their_own_optimizer_are_named_with_what_they_move() -> None:
    factor = Factor("supervision", levels=AS_RELEASED, baseline="clip")
    made = plan(study(factor, DEPTH), scale_named("paper"))
    # The decay of attention biases is the same in all five, so no difference comes from it.
    moved = ["optimizer.lr", "optimizer.weight_decay", "views"]
    assert moved_together(made) == {"supervision": moved}
    factors = made.design().to_json()["factors"]
    assert factors["supervision"]["also_moves"] == moved and factors["depth"]["also_moves"] == []


def test_levels_of_the_objective_alone_move_nothing_else() -> None:
    own = {"clip": {"objective": CLIP}, "slip": {"objective": CLIP.weighted("clip", 0.5)}}
    weights = Factor("supervision", levels=own)
    assert moved_together(plan(study(weights, DEPTH), scale_named("paper"))) == {}


def test_a_width_that_levels_say_is_moved_at_every_scale() -> None:
    model = Factor(
        "model",
        levels={
            "vit": {"image.name": "vit_base_patch32_clip_quickgelu_224", "embed_dim": 512},
            "resnet": {"image.name": "resnet50_clip", "embed_dim": 1024},
        },
    )
    made = study(model, DEPTH)
    for scale in SCALES.values():
        assert moved_together(plan(made, scale)) == {"model": ["embed_dim"]}


def test_a_fraction_without_neighbouring_cells_still_names_what_its_levels_set() -> None:
    rate = Factor(
        "rate",
        levels={
            "low": {"optimizer.lr": 5e-4, "budget.warmup_samples": 4096},
            "high": {"optimizer.lr": 1e-3, "budget.warmup_samples": 8192},
        },
    )
    width = Factor("width", at="embed_dim", levels=(256, 512))
    made = study(rate, DEPTH, width, fraction=("rate * depth * width",))
    found = plan(made, scale_named("paper"))
    assert moved_together(found) == {"rate": ["budget.warmup_samples"]}
