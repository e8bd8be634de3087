"""Towers that start from open_clip's weights. Oracle: open_clip's models, made and run by it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file
from tests.fixtures.models import described, trained

from seedbed.data.render import tokenizer
from seedbed.errors import DataError, StudyError
from seedbed.interchange.described import Described
from seedbed.interchange.imported import start_from
from seedbed.interchange.loading import described_by
from seedbed.interchange.source import CLIP_MEAN, CLIP_STD, Source, identified, source_of
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower

TEXT = {"context_length": 12, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
CONFIGS: dict[str, dict[str, Any]] = {
    "vit": {
        "embed_dim": 24,
        "quick_gelu": True,
        "vision_cfg": {
            "image_size": 32,
            "layers": 2,
            "width": 48,
            "head_width": 16,
            "patch_size": 8,
        },
        "text_cfg": TEXT,
    },
    "resnet": {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 64, "layers": [3, 4, 6, 3], "width": 8},
        "text_cfg": TEXT,
    },
    "timm": {
        "embed_dim": 24,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 160, "timm_model_name": "test_vit", "timm_pool": ""},
        "text_cfg": TEXT,
    },
}
CAPTIONS = ("a cat", "a photo of a very long caption that is cut off somewhere in its middle")


def theirs(kind: str, folder: Path, **fields: Any) -> Any:
    """A model of open_clip's, saved with its description."""
    config = json.loads(json.dumps(CONFIGS[kind])) | fields
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    torch.manual_seed(3)
    model = open_clip.model.CLIP(**config).eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                noise = 0.1 * torch.randn_like(tensor)
                tensor.add_(noise.abs() if name.endswith("running_var") else noise)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return model


def started(said: str, what: Described | None = None) -> Any:
    source = source_of(said)
    what = what or described_by(source)
    model = what.build(seed=7)
    start_from(source, what, model)
    return model


@torch.inference_mode()
def assert_alike(peer: Any, model: Any, size: int, context: int = 12) -> None:
    drawn = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (3, size, size, 3), generator=drawn, dtype=torch.uint8)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (CLIP_MEAN, CLIP_STD))
    pixels = (pictures.permute(0, 3, 1, 2) / 255 - mean) / std
    ids, lengths = (torch.from_numpy(c) for c in tokenizer.encode(CAPTIONS, context))
    wide = torch.zeros(len(CAPTIONS), 12, dtype=ids.dtype)
    wide[:, :context] = ids
    for ours, expected in (
        (model.embed_image(pictures), peer.encode_image(pixels)),
        (model.embed_text(ids, lengths), peer.encode_text(wide)),
    ):
        bound = 1e-5 * max(1.0, float(expected.abs().max()))
        np.testing.assert_allclose(ours.numpy(), expected.numpy(), rtol=0, atol=bound)


@pytest.mark.parametrize("kind", CONFIGS)
def test_it_embeds_as_open_clip_s_model_does(kind: str, tmp_path: Path) -> None:
    peer = theirs(kind, tmp_path)
    model = started(str(tmp_path))
    assert_alike(peer, model, CONFIGS[kind]["vision_cfg"]["image_size"])
    assert model.thetas["logit"].item() == pytest.approx(peer.logit_scale.item())


def test_checkpoints_of_training_and_models_with_a_text_tower_apart_are_the_same_model(
    tmp_path: Path,
) -> None:
    theirs("vit", tmp_path)
    state = source_of(str(tmp_path)).weights
    of_text = ("transformer.", "token_", "positional_", "ln_final", "text_projection")
    apart = {f"text.{n}" if n.startswith(of_text) else n: t for n, t in state.items()}
    trained_by_ddp = {"epoch": 3, "state_dict": {f"module.{n}": t for n, t in apart.items()}}
    torch.save(trained_by_ddp, tmp_path / "epoch_3.pt")
    assert (
        identified(str(tmp_path / "epoch_3.pt")).rpartition("#")[2]
        == source_of(str(tmp_path)).digest
    )


def test_a_vocabulary_with_a_mask_token_and_a_shorter_context_take_what_there_is(
    tmp_path: Path,
) -> None:
    peer = theirs("vit", tmp_path)
    what = described_by(source_of(str(tmp_path)))
    what = replace(what, text=replace(what.text, vocabulary=49_409, context=8))
    model = started(str(tmp_path), what)
    assert_alike(peer, model, 32, context=8)
    drawn = what.build(seed=7).towers["text"].embedding.weight
    assert torch.equal(model.towers["text"].embedding.weight[49_408], drawn[49_408])


def test_a_recipe_that_compares_tokens_starts_from_the_towers_alone(tmp_path: Path) -> None:
    peer = theirs("vit", tmp_path)
    whole = described_by(source_of(str(tmp_path)))
    what = replace(whole, objective=described("filip").objective)
    model = started(str(tmp_path), what)
    assert not model.projections
    name = "transformer.resblocks.1.mlp.c_fc.weight"
    assert torch.equal(model.towers["text"].blocks[1].expand.weight, peer.state_dict()[name])


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"text": {"layers": 1}}, "transformer.resblocks.1.attn.in_proj_bias is left over"),
    ({"text": {"layers": 3}}, "transformer.resblocks.2.attn.in_proj_bias is missing"),
    ({"text": {"width": 64}}, r"positional_embedding is \[12, 32\], not \[12, 64\]"),
    ({"text": {"heads": 4}}, "text_cfg.heads is 2, not 4"),
    ({"text": {"activation": "gelu"}}, "the activation is quick_gelu, not gelu"),
    ({"embed_dim": 32}, r"visual.proj is \[32, 24\]|visual.proj is \[24, 48\], not \[32, 48\]"),
    ({"image": {"pixels": "imagenet"}}, "normalised by the mean"),
    ({"image": {"size": 40}}, r"visual.positional_embedding is \[1, 17, 48\], not \[1, 26, 48\]"),
]


@pytest.mark.parametrize(("fields", "said"), REFUSED, ids=lambda v: str(v))
def test_another_architecture_is_refused_by_what_differs(
    fields: dict[str, Any], said: str, tmp_path: Path
) -> None:
    theirs("vit", tmp_path)
    what = described_by(source_of(str(tmp_path)))
    changed = {n: replace(getattr(what, n), **v) for n, v in fields.items() if isinstance(v, dict)}
    what = replace(what, **{**fields, **changed})
    with pytest.raises(DataError, match=said) as error:
        started(str(tmp_path), what)
    assert "text.layers=2" in error.value.mend and "image.pixels='clip'" in error.value.mend


def test_another_kind_of_tower_is_refused_by_its_tensors(tmp_path: Path) -> None:
    theirs("resnet", tmp_path)
    what = described("clip", replace(described().image, pixels="clip"))
    with pytest.raises(DataError, match="does not fit the recipe") as error:
        started(str(tmp_path), what)
    assert "has no counterpart" in error.value.what


def test_a_description_that_is_beyond_our_towers_says_why(tmp_path: Path) -> None:
    theirs("vit", tmp_path)
    config = json.loads((tmp_path / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["hf_model_name"] = "roberta-base"
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(StudyError) as error:
        described_by(source_of(str(tmp_path)))
    assert error.value.why == "its captions are read by roberta-base"


def test_weights_are_known_by_what_they_are_and_not_by_where(tmp_path: Path) -> None:
    theirs("vit", tmp_path / "a")
    theirs("vit", tmp_path / "b")
    theirs("vit", tmp_path / "c", quick_gelu=False)  # the same tensors, another model
    a, b, c = (source_of(str(tmp_path / n)).digest for n in "abc")
    assert a == b != c
    with pytest.raises(DataError, match="have the digest"):
        source_of(f"{tmp_path / 'c'}#{a}")


BROKEN = {
    "cut off": (lambda f: f.write_bytes(f.read_bytes()[:-9]), "is no whole safetensors file"),
    "no header": (lambda f: f.write_bytes(b"weights"), "is no whole safetensors file"),
    "gone": (lambda f: f.unlink(), "no weights"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_broken_files_are_refused_before_anything_starts(how: str, tmp_path: Path) -> None:
    theirs("vit", tmp_path)
    spoil, said = BROKEN[how]
    spoil(tmp_path / "open_clip_model.safetensors")
    with pytest.raises(DataError, match=said):
        identified(str(tmp_path))


def test_a_checkpoint_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    theirs("vit", tmp_path)

    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"state_dict": Evil()}, tmp_path / "epoch_1.pt")
    with pytest.raises(DataError, match="cannot be read as weights"):
        source_of(str(tmp_path / "epoch_1.pt"))
    assert not (tmp_path / "ran").exists()


def test_names_that_open_clip_does_not_know_are_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no model 'ViT-B-23'") as error:
        source_of("open_clip:ViT-B-23@openai")
    assert "ViT-B-32" in error.value.mend
    with pytest.raises(StudyError, match="no weights 'opnai'") as error:
        source_of("open_clip:ViT-B-32@opnai")
    assert "openai" in error.value.mend
    with pytest.raises(DataError, match="describes no model"):
        source_of(str(tmp_path))


def test_towers_of_the_paper_are_open_clip_s_own() -> None:
    """Their RN50 and ViT-B-32, by name and without weights: the descriptions are the same."""
    for name, tower in (("RN50-quickgelu", "resnet50_clip"), ("ViT-B-32-quickgelu", "vit_base")):
        config = open_clip.get_model_config(name)
        what = described_by(Source(name, config, {}))
        assert what.image.name.startswith(tower)
        assert what.text == TextTower(vocabulary=49_408)
        assert isinstance(what.image, ImageTower) and what.image.size == 224


def test_trained_is_not_at_its_start() -> None:
    what = described("declip")
    a, b = what.build(seed=1).state_dict(), trained(what).state_dict()
    assert not torch.equal(a["towers.text.norm.bias"], b["towers.text.norm.bias"])
