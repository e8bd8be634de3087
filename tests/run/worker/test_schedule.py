"""Learning rate and weight decay. Oracle: what Sense-GVT/DeCLIP's configs give at these steps."""

from __future__ import annotations

import pytest
import torch

from seedbed.data.render.image import MOCOV2, ONECROP, SLIP, STANDARD_SLIP
from seedbed.data.views import IMAGE, IMAGE_A, IMAGE_B
from seedbed.errors import StudyError
from seedbed.model.pretrainer import Pretrainer
from seedbed.recipe.recipe import AdamW, Budget, Recipe
from seedbed.recipe.resolve import resolve
from seedbed.recipe.scale import DEMO
from seedbed.run.worker.optimizer import build_optimizer
from seedbed.run.worker.schedule import learning_rate
from seedbed.variants import AS_RELEASED, CLIP, DECLIP, UNIFIED


@pytest.mark.parametrize(
    ("step", "rate"),
    [(1, 1e-4), (2499, 9.9964e-4), (2500, 1e-3), (64_000, 5.1565e-4), (128_001, 0.0)],
)
def test_rate_at_the_released_steps(step: int, rate: float) -> None:
    found = learning_rate(Recipe(objective=CLIP), (step - 1) * 4096)
    assert found == pytest.approx(rate, rel=1e-4, abs=1e-12)


def rate_at(samples: int, **settings: float) -> float:
    optimizer = AdamW(lr=1.0, warmup_lr=0.0, schedule="wsd", **settings)
    budget = Budget(samples=1_000, warmup_samples=100, batch=10)
    return learning_rate(Recipe(objective=CLIP, optimizer=optimizer, budget=budget), samples)


@pytest.mark.parametrize(
    ("samples", "rate"),
    # 1 - sqrt of the share that is done of the last 200 samples, by hand (arXiv:2405.18392).
    [(50, 0.5), (100, 1.0), (790, 1.0), (800, 1.0), (850, 0.5), (928, 0.2), (990, 0.02532)],
)
def test_a_stable_rate_falls_late(samples: int, rate: float) -> None:
    assert rate_at(samples) == pytest.approx(rate, rel=1e-3)
    assert rate_at(samples, decay_share=0.1) == (
        pytest.approx(rate)
        if samples < 800
        else 1.0
        if samples <= 900
        else pytest.approx(1 - ((samples - 900) / 100) ** 0.5)
    )


def test_a_warm_up_that_reaches_into_the_decay_is_refused_with_the_largest_share() -> None:
    with pytest.raises(StudyError, match=r"at most 0\.75"):
        Recipe(
            objective=CLIP,
            optimizer=AdamW(schedule="wsd", decay_share=0.8),
            budget=Budget(samples=1_000, warmup_samples=250, batch=10),
        )


def test_recipes_from_before_there_were_schedules_keep_their_keys() -> None:
    fields = Recipe(objective=CLIP).flatten()
    assert "optimizer.schedule" not in fields and "optimizer.decay_share" not in fields
    late = Recipe(objective=CLIP, optimizer=AdamW(schedule="wsd"))
    assert late.flatten().items() - fields.items() == {("optimizer.schedule", "wsd")}


def decayed(recipe: Recipe) -> dict[str, bool]:
    with torch.device("meta"):
        model = Pretrainer(recipe.image, recipe.text, recipe.objective, embed_dim=128, seed=0)
    kept = {id(p) for p in build_optimizer(model, recipe).param_groups[0]["params"]}
    return {name: id(p) in kept for name, p in model.named_parameters()}


def test_decay_skips_vectors_and_scales_and_takes_embeddings() -> None:
    found = decayed(Recipe(objective=DECLIP))
    assert not found["thetas.logit"]
    assert not any(
        value for name, value in found.items() if name.endswith("bias") or ".norm" in name
    )
    for name in (
        "towers.text.embedding.weight",
        "towers.text.position",
        "towers.image.model.cls_token",
        "towers.image.model.pos_embed",
        "projections.image.weight",
        "terms.masked_lm.head.weight",
    ):
        assert found[name], name


@pytest.mark.slow
def test_released_decay_also_takes_the_biases_of_attention() -> None:
    recipe = Recipe(objective=CLIP, optimizer=AdamW(decay_attention_bias=True))
    more = {n for n, value in decayed(recipe).items() if value} - {
        n for n, value in decayed(Recipe(objective=CLIP)).items() if value
    }
    assert len(more) == 24
    assert {name.split(".")[-2] for name in more} == {"attend", "qkv"}


def test_released_recipes_differ_by_variant_and_the_unified_one_does_not() -> None:
    rates = {name: level["optimizer.lr"] for name, level in AS_RELEASED.items()}
    decays = {name: level["optimizer.weight_decay"] for name, level in AS_RELEASED.items()}
    assert rates == {"clip": 1e-3, "slip": 5e-4, "filip": 5e-4, "declip": 1e-3, "defilip": 1e-3}
    assert decays == {"clip": 0.1, "slip": 0.5, "filip": 0.5, "declip": 0.1, "defilip": 0.1}
    assert all(set(level) == {"objective"} for level in UNIFIED.values())
    for level in AS_RELEASED.values():
        recipe = Recipe(objective=CLIP)
        for path, value in level.items():
            recipe = recipe.patch(path, value)
        for temperature in recipe.objective.temperatures:
            assert (temperature.least, temperature.most) == pytest.approx(
                (20.0855, 403.4288), rel=1e-5
            )


def test_views_have_the_released_augmentations() -> None:
    augment = Recipe(objective=CLIP).augment
    assert (augment.image, augment.image_a, augment.image_b) == (STANDARD_SLIP, MOCOV2, MOCOV2)
    assert dict(SLIP) == {IMAGE: STANDARD_SLIP, IMAGE_A: MOCOV2, IMAGE_B: MOCOV2}
    assert ONECROP.ratio == 256 / 224


def test_a_scale_shrinks_what_a_study_left_at_its_default_alone() -> None:
    recipe = Recipe(objective=UNIFIED["slip"]["objective"])
    assert resolve(recipe, DEMO, ()).get("objective.simclr.hidden") == 256
    chosen = recipe.patch("objective.simclr.hidden", 512)
    assert resolve(chosen, DEMO, ()).get("objective.simclr.hidden") == 512
    assert resolve(recipe, DEMO, ()).get("image.options") != ()
    named = resolve(recipe.patch("image.name", "test_vit"), DEMO, ())
    assert (named.image.name, named.image.options) == ("test_vit", ())
