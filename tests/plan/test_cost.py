"""A plan's arithmetic. Oracles: published counts, and the matrix products written out."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from seedbed.model.objective import Objective
from seedbed.model.pretrainer import Pretrainer
from seedbed.model.terms.infonce import InfoNCE
from seedbed.model.terms.masked_lm import MaskedLM
from seedbed.model.terms.simsiam import SimSiam
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower
from seedbed.plan.cost import estimate
from seedbed.recipe.recipe import Recipe
from seedbed.variants import CLIP, DECLIP, DEFILIP, FILIP, SLIP, SWITCHES

# Forward multiply-adds of a sample: ViT-B/32 4.41 G and 12 text layers 2.98 G.
IMAGE, TEXT = 2 * 4.41e9, 2 * 2.98e9


def forward(recipe: Recipe) -> float:
    cost = estimate(recipe)
    return cost.train_flops / 3 / cost.samples


def test_clip_costs_its_two_towers() -> None:
    assert forward(Recipe(objective=CLIP)) == pytest.approx(IMAGE + TEXT, rel=0.01)


def test_slip_adds_two_image_passes_and_its_head() -> None:
    head = 2 * 2 * (768 * 4096 + 4096 * 4096 + 4096 * 256)
    expected = 3 * IMAGE + TEXT + head
    assert forward(Recipe(objective=SLIP)) == pytest.approx(expected, rel=0.01)


def test_filip_adds_the_comparison_of_all_tokens_of_a_batch() -> None:
    tokens = 2 * 4096 * 49 * 77 * 256
    assert forward(Recipe(objective=FILIP)) == pytest.approx(IMAGE + TEXT + tokens, rel=0.01)


def test_declip_doubles_both_towers() -> None:
    found = forward(Recipe(objective=DECLIP))
    assert 2 * (IMAGE + TEXT) < found < 2.15 * (IMAGE + TEXT)


def built(recipe: Recipe) -> tuple[int, float]:
    """Parameters and one sample's arithmetic of the whole model, built and run."""
    shapes = {}
    with torch.device("meta"):
        model = Pretrainer(
            recipe.image, recipe.text, recipe.objective, embed_dim=recipe.embed_dim, seed=0
        ).eval()
        size, context = recipe.image.size, recipe.text.context
        picture = torch.zeros(1, size, size, 3, dtype=torch.uint8)
        caption = (torch.zeros(1, context, dtype=torch.int32), torch.ones(1, dtype=torch.int32))
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            for view in recipe.objective.views:
                encoded = model.encode(view, (picture,) if view.modality == "image" else caption)
                shapes |= {feature: tuple(value.shape[1:]) for feature, value in encoded.items()}
    batch = recipe.budget.batch
    terms = sum(w.term.flops(shapes, batch) for _, w in recipe.objective.present())
    return sum(p.numel() for p in model.parameters()), counter.get_total_flops() + terms


BOTH_WAYS = Objective(clip=InfoNCE(), masked_lm=MaskedLM(attention="both_ways"))
POOLED = Objective(simsiam=SimSiam(reads="pooled"), clip=InfoNCE())


VIT, RESNET = "vit_base_patch32_clip_quickgelu_224", "resnet50_clip"
OBJECTIVES = [CLIP, SLIP, FILIP, DECLIP, DEFILIP, SWITCHES, BOTH_WAYS, POOLED]
# Two of the table are quick; the rest is for the whole suite.
EACH = [
    pytest.param(
        objective,
        tower,
        id=f"{number}-{tower}",
        marks=[] if (objective, tower) in ((CLIP, RESNET), (BOTH_WAYS, VIT)) else pytest.mark.slow,
    )
    for number, objective in enumerate(OBJECTIVES)
    for tower in (VIT, RESNET)
]


@pytest.mark.parametrize(("objective", "tower"), EACH)
def test_parts_add_up_to_the_model_that_is_trained(objective: Objective, tower: str) -> None:
    recipe = Recipe(objective=objective, image=ImageTower(tower), text=TextTower(layers=2))
    cost = estimate(recipe)
    num_params, flops = built(recipe)
    assert cost.num_params == num_params
    assert cost.train_flops == 3.0 * cost.samples * flops
