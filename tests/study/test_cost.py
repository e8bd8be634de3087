"""A plan's arithmetic. Oracles: published counts, and the matrix products written out."""

from __future__ import annotations

import pytest

from seedbed.plan.cost import estimate
from seedbed.recipe.recipe import Recipe
from seedbed.variants import CLIP, DECLIP, FILIP, SLIP

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
