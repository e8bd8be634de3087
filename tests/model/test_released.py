"""Towers as the paper's code starts them. Oracle: the spreads that its initialisation states.

Sense-GVT/DeCLIP, visual_transformer.py and modified_resnet.py: std by width and depth; layers
that it does not draw keep PyTorch's own, uniform within 1 / sqrt(inputs).
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from seedbed.data.render.image import ONECROP
from seedbed.errors import StudyError
from seedbed.model.towers.image import ImageTower
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import PAPER
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.variants import AS_RELEASED, CLIP

VIT, RESNET = "vit_base_patch32_clip_quickgelu_224", "resnet50_clip"


def built(**fields: Any) -> Any:
    torch.manual_seed(0)
    return ImageTower(**fields).build().model


def spread(weight: torch.Tensor) -> float:
    return float(weight.detach().std())


def uniform(inputs: int) -> float:
    return 1 / math.sqrt(3 * inputs)


def test_a_released_vit_starts_with_the_spreads_of_its_width_and_depth() -> None:
    width, depth = 384, 6
    model = built(
        name=VIT,
        init="released",
        options={"patch_size": 32, "embed_dim": width, "depth": depth, "num_heads": 6},
    )
    deep = width**-0.5 * (2 * depth) ** -0.5
    near = {"rel": 0.03}
    assert spread(model.pos_embed) == pytest.approx(0.01, **near)
    assert spread(model.cls_token) == pytest.approx(width**-0.5, rel=0.15)
    assert spread(model.patch_embed.proj.weight) == pytest.approx(uniform(3 * 32 * 32), **near)
    for block in model.blocks:
        assert spread(block.attn.qkv.weight) == pytest.approx(width**-0.5, **near)
        assert spread(block.attn.proj.weight) == pytest.approx(deep, **near)
        assert spread(block.mlp.fc1.weight) == pytest.approx((2 * width) ** -0.5, **near)
        assert spread(block.mlp.fc2.weight) == pytest.approx(deep, **near)
        assert not block.attn.qkv.bias.any() and not block.attn.proj.bias.any()
        assert spread(block.mlp.fc1.bias) == pytest.approx(uniform(width), rel=0.15)
    norms = [m for m in model.modules() if isinstance(m, nn.LayerNorm)]
    assert all(bool((n.weight == 1).all()) and not n.bias.any() for n in norms)


def test_timm_starts_a_vit_otherwise_and_stays_the_default() -> None:
    model = built(name=VIT, options={"embed_dim": 384, "depth": 2, "num_heads": 6})
    assert spread(model.blocks[0].attn.qkv.weight) == pytest.approx(0.02, rel=0.03)
    assert ImageTower().init == "timm"


@pytest.mark.slow
def test_a_released_resnet_keeps_what_its_layers_draw() -> None:
    model = built(name=RESNET, init="released")
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    for one in convolutions:
        inputs = one.in_channels * one.kernel_size[0] * one.kernel_size[1]
        assert spread(one.weight) == pytest.approx(uniform(inputs), rel=0.06)
    for linear in (model.head.q, model.head.k, model.head.v):
        assert spread(linear.weight) == pytest.approx(2048**-0.5, rel=0.01)
        assert spread(linear.bias) == pytest.approx(uniform(2048), rel=0.06)
    last = [p for n, p in model.named_parameters() if n.endswith("conv3_1x1.bn.weight")]
    assert len(last) == 16 and not any(bool(p.any()) for p in last)


@pytest.mark.slow
def test_a_released_vit_leaves_its_patch_embedding_and_a_resnet_has_none_to_leave() -> None:
    small = {"embed_dim": 96, "depth": 1, "num_heads": 3}
    vit = built(name=VIT, options=small, init="released", freeze_patch_embed=True)
    frozen = [n for n, p in vit.named_parameters() if not p.requires_grad]
    assert frozen == ["patch_embed.proj.weight"]
    resnet = built(name=RESNET, init="released", freeze_patch_embed=True)
    assert all(p.requires_grad for p in resnet.parameters())
    with pytest.raises(StudyError, match="has no patch embedding"):
        built(name=RESNET, freeze_patch_embed=True)


def test_an_unknown_start_and_a_tower_that_the_code_lacks_are_refused() -> None:
    with pytest.raises(StudyError, match="Did you mean 'released'"):
        ImageTower(init="relesed")  # type: ignore[arg-type]
    with pytest.raises(StudyError, match=r"image\.init is 'released', and the tower is 'resnet18'"):
        built(name="resnet18", size=32, init="released")


def test_every_level_as_released_has_the_codes_start_frozen_patches_and_test_crop() -> None:
    study = Study(
        name="released",
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=(
            Factor("supervision", levels=AS_RELEASED),
            Factor("model", at="image.name", levels={"vit": VIT, "resnet": RESNET}),
        ),
        seeds=1,
    )
    for trial in study.trials(PAPER):
        image = trial.recipe.image
        assert (image.init, image.freeze_patch_embed) == ("released", True)
        assert trial.recipe.augment.test == ONECROP
    assert Recipe(objective=CLIP).augment.test.ratio == 1.0
