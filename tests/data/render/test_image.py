"""Image augmentation. Oracle: torchvision's transforms on the same PIL pictures."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import RandomResizedCrop as PeerCrop
from torchvision.transforms import functional as F

from seedbed.data.render import distort
from seedbed.data.render.image import (
    MOCOV2,
    ONECROP,
    SLIP,
    STANDARD_SLIP,
    CenterCrop,
    RandomResizedCrop,
    Strong,
    crop_box,
    sample_rng,
)
from seedbed.data.views import IMAGE, IMAGE_A, IMAGE_B
from seedbed.errors import StudyError


def picture(width: int = 60, height: int = 40) -> Image.Image:
    """Smooth colours with some noise: every hue, saturation and value."""
    y, x = np.mgrid[:height, :width]
    planes = [127 + 120 * np.sin(x / (5 + i) + y / (9 - i) + i) for i in range(3)]
    noise = np.random.default_rng(0).normal(0, 8, (height, width, 3))
    return Image.fromarray(np.clip(np.stack(planes, 2) + noise, 0, 255).astype(np.uint8))


def off_by(ours: Image.Image, peer: Image.Image) -> int:
    return int(np.abs(np.asarray(ours, np.int32) - np.asarray(peer, np.int32)).max())


@pytest.mark.parametrize(
    ("ours", "peer", "factors"),
    [
        (distort.brightness, F.adjust_brightness, (0.6, 1.0, 1.37)),
        (distort.contrast, F.adjust_contrast, (0.6, 1.0, 1.37)),
        (distort.saturation, F.adjust_saturation, (0.6, 1.0, 1.37)),
        (distort.hue, F.adjust_hue, (-0.5, -0.1, -0.037, 0.052, 0.1, 0.5)),
    ],
)
def test_colour_changes_are_those_of_torchvision(
    ours: Callable[..., Image.Image], peer: Callable[..., Image.Image], factors: tuple[float, ...]
) -> None:
    for factor in factors:
        assert off_by(ours(picture(), factor), peer(picture(), factor)) <= 1


def test_a_hue_turn_of_nothing_loses_nothing() -> None:
    # torchvision goes through HSV all the same, which rounds: up to some grey levels.
    assert off_by(distort.hue(picture(), 0.001), picture()) == 0


def test_grayscale_and_flip_are_those_of_torchvision() -> None:
    assert off_by(distort.grayscale(picture()), F.to_grayscale(picture(), 3)) == 0
    assert off_by(distort.flip(picture()), F.hflip(picture())) == 0


@pytest.mark.slow
@pytest.mark.parametrize("size", [(60, 40), (300, 30)])
@pytest.mark.parametrize("crop", [STANDARD_SLIP, MOCOV2])
def test_crop_boxes_are_distributed_as_torchvisions(
    crop: RandomResizedCrop | Strong, size: tuple[int, int]
) -> None:
    width, height = size
    n, rng, blank = 3_000, np.random.default_rng(1), Image.new("L", size)
    ours = np.array([crop_box(crop, width, height, rng) for _ in range(n)], float)
    torch.manual_seed(1)
    scale, ratio = (crop.min_area, crop.max_area), (crop.min_aspect, crop.max_aspect)
    drawn = [PeerCrop.get_params(blank, scale, ratio) for _ in range(n)]  # type: ignore[arg-type]
    peer = np.array([(j, i, j + w, i + h) for i, j, h, w in drawn], float)
    for a, b in zip(_features(ours), _features(peer), strict=True):
        spread = np.sqrt((a.var() + b.var()) / n)
        assert abs(a.mean() - b.mean()) <= 4.5 * spread + 1e-9
        assert np.isclose(a.std(), b.std(), rtol=0.1, atol=0.05)


def _features(boxes: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    left, top, right, bottom = boxes.T
    return [left, top, right - left, bottom - top, (right - left) * (bottom - top)]


def test_strong_is_crop_jitter_gray_blur_and_flip_in_this_order() -> None:
    rng, again = sample_rng(0, 3, 0, "a"), sample_rng(0, 3, 0, "a")
    always = Strong(hue=0, contrast=0, saturation=0, jitter_p=1, grayscale_p=1, blur_p=1, flip_p=1)
    got = always(picture(), 32, rng)
    box = crop_box(always, 60, 40, again)
    expected = picture().resize((32, 32), Image.Resampling.BILINEAR, box=box)
    again.random()
    for step in again.permutation(4).tolist():
        reach = 0.4 if step == 0 else 0.0
        factor = again.uniform(1 - reach, 1 + reach) if step != 3 else again.uniform(-0.0, 0.0)
        if step == 0:
            expected = F.adjust_brightness(expected, factor)
    again.random(), again.random()
    radius = again.uniform(0.1, 2.0)
    expected = F.hflip(distort.blur(F.to_grayscale(expected, 3), radius * 32 / 224))
    assert off_by(Image.fromarray(got), expected) <= 1


def test_chances_are_those_stated() -> None:
    # Without jitter and blur, and a whole-picture crop, only gray and flip are left to see.
    plain = Strong(min_area=1, min_aspect=1, max_aspect=1, jitter_p=0, blur_p=0)
    source = picture(16, 16)
    flipped = np.asarray(distort.flip(source))
    gray = flips = 0
    for number in range(1_500):
        view = plain(source, 16, sample_rng(0, number, 0, "a"))
        is_gray = bool((view[..., 0] == view[..., 1]).all())
        gray += is_gray
        target = np.asarray(distort.grayscale(Image.fromarray(flipped))) if is_gray else flipped
        flips += bool((view == target).all())
    assert abs(gray / 1_500 - 0.2) < 0.05 and abs(flips / 1_500 - 0.5) < 0.06


def test_the_names_of_the_released_code_are_these() -> None:
    assert SLIP == {IMAGE: STANDARD_SLIP, IMAGE_A: MOCOV2, IMAGE_B: MOCOV2}
    assert (STANDARD_SLIP.min_area, STANDARD_SLIP.max_area) == (0.5, 1.0)
    assert CenterCrop(256 / 224) == ONECROP
    assert (
        Strong(  # by position: area, aspect, jitter, grayscale, blur, flip
            *(0.2, 1.0, 3 / 4, 4 / 3, 0.8, 0.4, 0.4, 0.4, 0.1, 0.2, 0.5, 0.1, 2.0, 224, 0.5)
        )
        == MOCOV2
    )


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        (RandomResizedCrop, {"min_area": 0}, r"min_area is 0"),
        (RandomResizedCrop, {"min_area": 0.8, "max_area": 0.5}, r"min_area is 0\.8"),
        (RandomResizedCrop, {"max_area": 1.5}, r"max_area is 1\.5"),
        (RandomResizedCrop, {"min_aspect": 2}, r"min_aspect is 2\.0"),
        (RandomResizedCrop, {"min_area": float("nan")}, r"min_area is nan"),
        (Strong, {"flip_p": 1.1}, r"flip_p is 1\.1"),
        (Strong, {"blur_p": -0.1}, r"blur_p is -0\.1"),
        (Strong, {"hue": 0.6}, r"hue is 0\.6"),
        (Strong, {"contrast": -1}, r"contrast is -1"),
        (Strong, {"blur_min_radius": 3}, r"blur_min_radius is 3\.0"),
        (Strong, {"blur_reference_size": 0}, r"blur_reference_size is 0"),
    ],
)
def test_impossible_fields_are_refused_by_name(
    kind: type[Any], fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(StudyError, match=rf"{kind.__name__}\.{said}(.|\n)*why(.|\n)*mend"):
        kind(**fields)


def test_one_and_one_point_nought_are_the_same_field() -> None:
    assert repr(RandomResizedCrop(min_area=1)) == repr(RandomResizedCrop(min_area=1.0))
    assert repr(Strong(flip_p=1)) == repr(Strong(flip_p=1.0))


def test_augmentation_leaves_the_global_generators_alone() -> None:
    python, state = random.getstate(), np.random.get_state()[1]
    for number in range(20):
        MOCOV2(picture(), 32, sample_rng(0, number, 0, "image_a"))
    assert random.getstate() == python
    assert (np.random.get_state()[1] == state).all()
