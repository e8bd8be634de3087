"""The model of a trial. Oracles: the objective's own declaration; the same model another way."""

from __future__ import annotations

import copy
import math
import shutil
from typing import Any

import pytest
import torch
from torch import Tensor

from seedbed.data.views import IMAGE, IMAGE_A, IMAGE_B, TEXT, TEXT_AUG, TEXT_MASKED
from seedbed.errors import StudyError
from seedbed.model.objective import Objective
from seedbed.model.pretrainer import Pretrainer
from seedbed.model.term import Temperature
from seedbed.model.terms.infonce import InfoNCE
from seedbed.model.terms.late_interaction import LateInteraction
from seedbed.model.terms.masked_lm import MaskedLM
from seedbed.model.terms.multi_view import MultiView
from seedbed.model.terms.nearest_text import NearestText
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.resolve import resolve
from seedbed.recipe.scale import DEMO
from seedbed.variants import (
    AS_RELEASED,
    CLIP,
    DECLIP,
    DEFILIP,
    FILIP,
    SLIP,
    SWITCHES,
    UNIFIED,
)

VIT = ImageTower(
    "vit_base_patch32_clip_quickgelu_224",
    32,
    (("depth", 2), ("embed_dim", 48), ("num_heads", 3), ("patch_size", 8)),
)
RESNET = ImageTower("modified_resnet_small", 32)
TOWERS = {"vit": VIT, "resnet": RESNET}
OBJECTIVES = {name: level["objective"] for name, level in UNIFIED.items()} | {
    f"{name} as released": level["objective"] for name, level in AS_RELEASED.items()
}
# The five on a ViT are quick; the rest of the table is for the whole suite.
EACH = [
    pytest.param(
        objective,
        tower,
        id=f"{name}-{kind}",
        marks=[] if name in UNIFIED and kind == "vit" else [pytest.mark.slow],
    )
    for name, objective in OBJECTIVES.items()
    for kind, tower in TOWERS.items()
]
VOCABULARY, CONTEXT = 49_409, 12


def batch(rows: int = 12, seed: int = 0) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(seed)

    def integers(high: int, *shape: int) -> Tensor:
        return torch.randint(0, high, shape, generator=rng)

    out = {v.name: integers(256, rows, 32, 32, 3).byte() for v in (IMAGE, IMAGE_A, IMAGE_B)}
    for view in (TEXT, TEXT_AUG, TEXT_MASKED):
        out[view.name] = integers(VOCABULARY, rows, CONTEXT).int()
        out[view.length] = 4 + integers(CONTEXT - 3, rows).int()
    masked = (torch.rand(rows, CONTEXT, generator=rng) < 0.3) & (
        torch.arange(CONTEXT) < out[TEXT_MASKED.length][:, None]
    )
    out[TEXT_MASKED.target] = torch.where(masked, out[TEXT_MASKED.name], -100)
    return out


def small(objective: Objective) -> Objective:
    return resolve(Recipe(objective=objective), DEMO, ()).objective


def build(objective: Objective, tower: ImageTower = VIT, **options: Any) -> Pretrainer:
    text = TextTower(layers=2, width=32, heads=2, context=CONTEXT)
    return Pretrainer(tower, text, small(objective), embed_dim=24, seed=0, **options)


def grads(model: Pretrainer, columns: dict[str, Tensor]) -> dict[str, Tensor]:
    model.zero_grad()
    model(columns)["loss"].backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(("objective", "tower"), EACH)
def test_every_parameter_has_a_gradient(objective: Objective, tower: ImageTower) -> None:
    model = build(objective, tower)
    found = grads(model, batch())
    assert set(found) == {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize("name", ["clip", "multi_view", "finer"])
def test_an_aligning_switch_trains_alone(name: str) -> None:
    objective = Objective(**{name: dict(SWITCHES.items())[name]})
    objective.check()
    assert set(grads(build(objective), batch())) == {
        n for n, _ in build(objective).named_parameters()
    }


@pytest.mark.parametrize("name", ["image_self", "text_self"])
def test_a_self_supervised_switch_trains_alone_one_tower(name: str) -> None:
    model = build(Objective(**{name: dict(SWITCHES.items())[name]}))
    assert list(model.towers) == [{"image_self": "image", "text_self": "text"}[name]]
    assert torch.isfinite(model(batch())["loss"])
    assert model.objective.aligning() is None


@pytest.mark.slow
def test_only_what_a_term_reads_is_built() -> None:
    filip = build(FILIP)
    assert not list(filip.projections)
    assert not [n for n, _ in filip.named_parameters() if "model.norm." in n or ".head." in n]
    assert not list(build(FILIP, RESNET).towers["image"].model.head.parameters())
    assert list(build(SWITCHES.weighted("finer", 0.0)).terms) == [
        "clip",
        "image_self",
        "multi_view",
        "nearest_text",
        "text_self",
    ]


def test_a_tower_starts_from_the_same_weights_under_every_objective() -> None:
    models = [build(objective) for objective in (CLIP, SLIP, FILIP, DECLIP, DEFILIP)]
    for model in models[1:]:
        theirs = dict(model.named_parameters())
        for name, parameter in models[0].named_parameters():
            if name in theirs:
                assert torch.equal(parameter, theirs[name]), name


def equal_losses(ours: Objective, theirs: Objective, columns: dict[str, Tensor]) -> None:
    one, other = build(ours), build(theirs)
    torch.testing.assert_close(one(columns)["loss"], other(columns)["loss"])
    found = grads(other, columns)
    for name, grad in grads(one, columns).items():
        torch.testing.assert_close(grad, found[name], msg=lambda text, n=name: f"{n}: {text}")


def test_slip_without_its_image_term_is_clip() -> None:
    equal_losses(SLIP.weighted("simclr", 0.0), CLIP, batch())


def test_defilip_without_its_finer_term_is_declip() -> None:
    equal_losses(DEFILIP.weighted("filip", 0.0), DECLIP, batch())


def test_declip_of_equal_views_with_only_multi_view_is_clip() -> None:
    columns = batch()
    for view in (IMAGE_A, IMAGE_B):
        columns[view.name] = columns[IMAGE.name]
    for view in (TEXT_AUG, TEXT_MASKED):
        columns[view.name], columns[view.length] = columns[TEXT.name], columns[TEXT.length]
    only = Objective(multi_view=1.0 * MultiView())
    ours, theirs = build(only), build(CLIP)
    torch.testing.assert_close(ours(columns)["loss"], theirs(columns)["loss"])
    found = grads(theirs, columns)
    for name, grad in grads(ours, columns).items():
        torch.testing.assert_close(grad, found[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "objective",
    [
        CLIP,
        pytest.param(DEFILIP, marks=pytest.mark.slow),
        pytest.param(SLIP, marks=pytest.mark.slow),
    ],
    ids=["clip", "defilip", "slip"],
)
def test_micro_batches_give_the_whole_batch_s_loss_and_gradient(objective: Objective) -> None:
    """GradCache: all negatives are kept. Each gradient within 1e-3 of its norm, since
    a batch norm over 12 rows enlarges rounding."""
    whole, parts = build(objective), build(objective, micro_batch=5)
    columns = batch()
    for step in range(2):
        ours, theirs = grads(parts, columns), grads(whole, columns)
        largest = max(grad.norm() for grad in theirs.values())
        for name, grad in theirs.items():
            # A gradient that is zero but for rounding has no norm of its own to compare with.
            assert (ours[name] - grad).norm() <= 1e-3 * grad.norm() + 1e-6 * largest, (step, name)


def test_micro_batches_are_refused_where_a_norm_would_average_them() -> None:
    with pytest.raises(StudyError, match=r"micro_batch is 4, and 'modified_resnet_small' has"):
        build(CLIP, RESNET, micro_batch=4)


@pytest.mark.parametrize(("objective", "tower"), EACH)
def test_half_precision_gives_the_same_loss_within_five_percent(
    objective: Objective, tower: ImageTower
) -> None:
    full, half = build(objective, tower), build(objective, tower, precision="bf16")
    for step in range(2):
        one, other = full(batch(seed=step))["loss"], half(batch(seed=step))["loss"]
        assert other.dtype == torch.float32
        assert other.item() == pytest.approx(one.item(), rel=0.05, abs=0.02)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("objective", "tower"),
    [
        pytest.param(CLIP, RESNET, id="clip-resnet"),
        pytest.param(DEFILIP, RESNET, id="defilip-resnet"),
        pytest.param(DEFILIP, VIT, id="defilip-vit"),
    ],
)
def test_compiled_towers_give_the_same_loss_within_1e_4(
    objective: Objective, tower: ImageTower
) -> None:
    plain, compiled = build(objective, tower), build(objective, tower)
    compiled.compile_towers()
    assert list(compiled.state_dict()) == list(plain.state_dict())
    for step in range(2):
        one, other = plain(batch(seed=step))["loss"], compiled(batch(seed=step))["loss"]
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-4)


def test_a_masked_token_is_guessed_from_both_sides_only_when_asked() -> None:
    columns = batch()
    changed = copy.deepcopy(columns)
    row = torch.arange(len(columns["text_masked"]))
    last = columns[TEXT_MASKED.length].long() - 1
    changed[TEXT_MASKED.name][row, last] = 7
    targets = torch.full_like(columns[TEXT_MASKED.target], -100)
    targets[:, 1] = 5
    columns[TEXT_MASKED.target] = changed[TEXT_MASKED.target] = targets
    losses = {}
    for attention in ("causal", "both_ways"):
        model = build(Objective(mlm=MaskedLM(attention=attention)))  # type: ignore[arg-type]
        losses[attention] = [model(c)["loss"].item() for c in (columns, changed)]
    assert losses["causal"][0] == losses["causal"][1]
    assert losses["both_ways"][0] != losses["both_ways"][1]


def test_a_frozen_patch_embedding_stays_and_the_rest_learns() -> None:
    frozen = ImageTower(VIT.name, 32, VIT.options, freeze_patch_embed=True)
    found = grads(build(CLIP, frozen), batch())
    missing = {n for n, _ in build(CLIP, frozen).named_parameters()} - set(found)
    assert missing == {
        "towers.image.model.patch_embed.proj.weight",
    }
    with pytest.raises(StudyError, match="has no patch embedding"):
        ImageTower(RESNET.name, 32, freeze_patch_embed=True).build()


def test_theta_is_held_in_its_bounds_after_a_step() -> None:
    released = build(AS_RELEASED["clip"]["objective"])
    assert released.thetas["logit"].exp().item() == pytest.approx(1 / 0.07)
    released.clamp()
    assert released.thetas["logit"].exp().item() == pytest.approx(20.0855, abs=1e-4)
    released.thetas["logit"].data.fill_(9.0)
    released.clamp()
    assert released.thetas["logit"].item() == pytest.approx(6.0)


def test_a_cap_limits_the_scale_and_leaves_its_gradient() -> None:
    capped = build(Objective(clip=InfoNCE(temperature=Temperature(most=400.0, cap=100.0))))
    capped.thetas["logit"].data.fill_(5.5)
    at_cap = build(Objective(clip=InfoNCE(temperature=Temperature(most=400.0))))
    at_cap.thetas["logit"].data.fill_(math.log(100.0))
    assert capped(batch())["loss"].item() == pytest.approx(at_cap(batch())["loss"].item())
    # d loss / d theta is d loss / d scale times exp(theta): the first is the same in both.
    ratio = grads(capped, batch())["thetas.logit"] / grads(at_cap, batch())["thetas.logit"]
    assert ratio.item() == pytest.approx(math.exp(5.5) / 100.0, rel=1e-4)


def test_objectives_align_by_embeddings_before_tokens() -> None:
    assert CLIP.aligning() == ("clip", "embed")
    assert FILIP.aligning() == ("filip", "tokens")
    assert DEFILIP.aligning() == ("multi_view", "embed")
    assert Objective(near=NearestText()).aligning() is None
    assert Objective(mlm=MaskedLM(), fas=LateInteraction()).aligning() == ("fas", "tokens")


def test_resnet_50_counts_as_published() -> None:
    with torch.device("meta"):
        model = Pretrainer(ImageTower("resnet50_clip"), TextTower(), CLIP, embed_dim=1024, seed=0)
    parts = (model.towers["image"], model.projections["image"])
    assert sum(p.numel() for part in parts for p in part.parameters()) == 38_316_896
