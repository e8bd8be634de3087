"""Towers. Oracle: the parameter counts of the paper's own towers, and open_clip's text tower."""

from __future__ import annotations

import pytest
import torch

from seedbed.errors import StudyError
from seedbed.model.pretrainer import Pretrainer
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower
from seedbed.variants import CLIP

SMALL_IMAGE = ImageTower("test_resnet", size=32)


def num_params(*modules: torch.nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


@pytest.mark.parametrize(
    ("layers", "expected"), [(12, 63_429_120), (6, 44_514_816), (3, 35_057_664), (1, 28_752_896)]
)
def test_text_tower_counts_as_published(layers: int, expected: int) -> None:
    with torch.device("meta"):
        model = Pretrainer(SMALL_IMAGE, TextTower(layers=layers), CLIP, embed_dim=512, seed=0)
    assert num_params(model.towers["text"], model.projections["text"]) == expected


def test_vit_b_32_counts_as_published() -> None:
    with torch.device("meta"):
        model = Pretrainer(ImageTower(), TextTower(layers=1), CLIP, embed_dim=512, seed=0)
    assert num_params(model.towers["image"], model.projections["image"]) == 87_849_216


def test_what_follows_the_end_of_text_changes_nothing() -> None:
    encoder = TextTower(layers=2, width=32, heads=2, context=12).build()
    ids, lengths = torch.randint(1, 1000, (4, 12)), torch.tensor([3, 5, 8, 8])
    short = encoder(ids[:, :8], lengths).pooled
    ids[:, 8:] = 7
    assert torch.allclose(encoder(ids, lengths).pooled, short, atol=1e-6)


def test_block_equals_open_clip() -> None:
    from open_clip.transformer import QuickGELU, ResidualAttentionBlock

    torch.manual_seed(0)
    peer = ResidualAttentionBlock(32, 4, act_layer=QuickGELU)
    ours = TextTower(layers=1, width=32, heads=4).build().blocks[0]
    names = {
        "norm_1": "ln_1",
        "norm_2": "ln_2",
        "attend_out": "attn.out_proj",
        "expand": "mlp.c_fc",
        "contract": "mlp.c_proj",
    }
    state = peer.state_dict()
    mapped = {f"{a}.{k}": state[f"{b}.{k}"] for a, b in names.items() for k in ("weight", "bias")}
    mapped |= {f"attend.{k}": state[f"attn.in_proj_{k}"] for k in ("weight", "bias")}
    ours.load_state_dict(mapped)
    x = torch.randn(3, 7, 32)
    mask = torch.full((7, 7), float("-inf")).triu(1)
    assert torch.allclose(ours(x), peer(x, attn_mask=mask), atol=1e-5)


def test_a_seed_gives_the_same_image_tower_whatever_the_text_tower() -> None:
    models = [
        Pretrainer(SMALL_IMAGE, TextTower(layers=n, width=32, heads=2), CLIP, embed_dim=8, seed=5)
        for n in (1, 3)
    ]
    a, b = (m.towers["image"].state_dict() for m in models)
    assert all(torch.equal(a[name], b[name]) for name in a)
    other = Pretrainer(
        SMALL_IMAGE, TextTower(layers=1, width=32, heads=2), CLIP, embed_dim=8, seed=6
    )
    assert any(not torch.equal(v, a[n]) for n, v in other.towers["image"].state_dict().items())


def test_every_parameter_has_a_gradient() -> None:
    model = Pretrainer(
        SMALL_IMAGE, TextTower(layers=2, width=32, heads=2, context=8), CLIP, embed_dim=8, seed=0
    )
    batch = {
        "image": torch.randint(0, 255, (6, 32, 32, 3), dtype=torch.uint8),
        "text": torch.randint(0, 49_000, (6, 8)),
        "text_length": torch.full((6,), 8),
    }
    model(batch)["loss"].backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_unknown_timm_model_names_the_nearest() -> None:
    with pytest.raises(StudyError, match="vit_base_patch32_clip_quickgelu_224"):
        ImageTower("vit_base_patch32_clip_quickgelu").build()


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(StudyError, match="heads=8"):
        TextTower(width=64, heads=7)
