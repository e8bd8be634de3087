"""Models in open_clip's layout. Oracle: open_clip, which loads them strictly and computes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from tests.fixtures.models import RESNET, TOWERS, VIT, described, trained

from seedbed.errors import DataError, StudyError
from seedbed.interchange.described import Described
from seedbed.interchange.exported import HEADS, TOLERANCE, check_against_open_clip, exported
from seedbed.interchange.loading import is_export, model_of_export
from seedbed.interchange.source import CONFIG, WEIGHTS
from seedbed.model.pretrainer import Pretrainer
from seedbed.model.towers.image import ImageTower
from seedbed.recipe.recipe import flattened
from seedbed.variants import UNIFIED

CAPTIONS = ["a photo of a cat.", "two", "a very long caption about dogs that does not fit at all"]


def flat(what: Described) -> dict[str, Any]:
    """As a trial's record has it."""
    parts = {
        "image": what.image,
        "text": what.text,
        "objective": what.objective,
        "augment.test": what.crop,
    }
    said: dict[str, Any] = {"embed_dim": what.embed_dim}
    for path, part in parts.items():
        said |= flattened(path, part)
    return json.loads(json.dumps(said))


def left(what: Described, model: Pretrainer, folder: Path) -> Path:
    exported(what, model, flat(what)).write(folder)
    return folder


def pictures(size: int, n: int = 3) -> list[Image.Image]:
    drawn = np.random.default_rng(0).integers(0, 256, (n, size, size, 3), np.uint8)
    return [Image.fromarray(one) for one in drawn]


def theirs(folder: Path) -> tuple[Any, Any, Any]:
    name = f"local-dir:{folder}"
    model, _, prepare = open_clip.create_model_and_transforms(name)
    return model.eval(), prepare, open_clip.get_tokenizer(name)


@pytest.mark.slow
@pytest.mark.parametrize("tower", TOWERS)
@pytest.mark.parametrize("variant", UNIFIED)
def test_every_variant_goes_out_and_comes_back_whole(
    variant: str, tower: str, tmp_path: Path
) -> None:
    what = described(variant, TOWERS[tower])
    model = trained(what)
    folder = left(what, model, tmp_path)
    assert check_against_open_clip(folder, what, model) <= TOLERANCE
    again = model_of_export(str(folder))
    assert again.described == what
    before, after = model.state_dict(), again.pretrainer.state_dict()
    assert before.keys() == after.keys()
    for name, value in before.items():
        same = torch.equal(value, after[name]) if hasattr(value, "shape") else value == after[name]
        assert same, name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("image", "text"),
    [
        (VIT, {"layers": 1, "width": 16, "heads": 4}),
        (VIT, {"layers": 3, "width": 48, "heads": 3, "context": 9}),
        (RESNET, {"layers": 4, "width": 64, "heads": 1, "vocabulary": 49_500}),
        (RESNET, {"layers": 1, "activation": "gelu"}),
        (replace(VIT, name="vit_base_patch32_clip_224"), {"activation": "gelu"}),
        (replace(VIT, pixels="clip"), {"layers": 1}),
        (ImageTower("modified_resnet_small", size=32), {"layers": 1}),
        (ImageTower("test_vit", size=160), {"layers": 1}),
    ],
    ids=str,
)
def test_open_clip_embeds_pictures_and_captions_alike(
    image: ImageTower, text: dict[str, Any], tmp_path: Path
) -> None:
    what = described("clip", image, **text)
    folder = left(what, trained(what), tmp_path)
    model = model_of_export(str(folder))
    peer, prepare, tokens = theirs(folder)
    shown = pictures(image.size)
    with torch.inference_mode():
        seen = peer.encode_image(torch.stack([prepare(one) for one in shown]), normalize=True)
        read = peer.encode_text(tokens(CAPTIONS), normalize=True)
        scale = peer.logit_scale.exp()
    np.testing.assert_allclose(model.encode_images(shown), seen.numpy(), atol=1e-5)
    np.testing.assert_allclose(model.encode_texts(CAPTIONS), read.numpy(), atol=1e-5)
    expected = (scale * seen @ read.T).softmax(-1)
    np.testing.assert_allclose(model.classify(shown, CAPTIONS), expected.numpy(), atol=1e-4)


def test_a_model_that_compares_tokens_has_no_global_embedding_there_or_here(tmp_path: Path) -> None:
    what = described("filip")
    folder = left(what, trained(what), tmp_path)
    peer, prepare, tokens = theirs(folder)
    with torch.inference_mode():
        assert not peer.encode_image(torch.stack([prepare(one) for one in pictures(32)])).any()
        assert not peer.encode_text(tokens(CAPTIONS)).any()
    model = model_of_export(str(folder))
    with pytest.raises(StudyError, match="no embedding of a whole image"):
        model.encode_images(pictures(32))
    assert model.classify(pictures(32), CAPTIONS).shape == (3, 3)


def test_heads_and_queues_are_in_a_file_of_their_own(tmp_path: Path) -> None:
    what = described("defilip")
    made = exported(what, trained(what))
    terms = {name.split(".")[1] for name in made.heads if name.startswith("terms.")}
    assert terms == {"filip", "masked_lm", "nearest_text", "simsiam"}
    assert not any(name.startswith(("towers", "projections")) for name in made.heads)
    made.write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {CONFIG, WEIGHTS, HEADS}


@pytest.mark.parametrize(
    ("image", "text", "why"),
    [
        (ImageTower("test_vit", size=32), {}, "their own size, here 160 px"),
        (replace(VIT, name="vit_base_patch32_clip_224"), {}, "activation is GELU"),
        (replace(RESNET, size=48), {}, "48 px is no multiple of 32"),
        (ImageTower("modified_resnet_small", size=64), {}, "here 32 px"),
        (ImageTower("test_vit", options={"depth": 1}), {}, "without options"),  # type: ignore[arg-type]
    ],
    ids=str,
)
def test_a_tower_that_open_clip_cannot_express_is_refused_by_name(
    image: ImageTower, text: dict[str, Any], why: str, tmp_path: Path
) -> None:
    what = described("clip", image, **text)
    with pytest.raises(StudyError) as error:
        exported(what, what.build())
    assert f"'{image.name}' at {image.size} px" in error.value.what
    assert why in error.value.why and error.value.mend


@pytest.mark.slow
def test_weights_that_are_cut_off_or_of_another_model_are_refused(tmp_path: Path) -> None:
    what = described("declip")
    folder = left(what, trained(what), tmp_path)
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[:-100])
    with pytest.raises(DataError, match="is no whole safetensors file"):
        model_of_export(str(folder))
    (folder / WEIGHTS).write_bytes(whole)
    other = described("declip", layers=3)
    exported(other, trained(other)).write(tmp_path / "other")
    (folder / WEIGHTS).write_bytes((tmp_path / "other" / WEIGHTS).read_bytes())
    with pytest.raises(DataError, match=r"resblocks\.2\.attn\.in_proj_bias is left over"):
        model_of_export(str(folder))


def test_a_folder_without_a_description_is_no_export(tmp_path: Path) -> None:
    assert not is_export(str(tmp_path))
    assert not is_export("0123456789abcdef")
    assert is_export("open_clip:ViT-B-32@openai")
