"""Image augmentation: pictures to uint8 pixels, seeded per sample.

Pixels stay uint8 until the device normalises them: a quarter of the bytes through the store.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seedbed.checks import counts, numbers, ordered, shares
from seedbed.data.order import derive
from seedbed.data.render import distort
from seedbed.data.render.augmentation import Augmentation
from seedbed.data.views import IMAGE, IMAGE_A, IMAGE_B, View


class ImageAugmentation(Protocol):
    """A frozen description that turns a picture into `size` x `size` pixels."""

    def __call__(
        self, picture: Image.Image, size: int, rng: np.random.Generator
    ) -> NDArray[np.uint8]: ...

    def needed_side(self, size: int) -> int:
        """The shorter side, in pixels, from which on no crop is upsampled."""
        ...


def sample_rng(seed: int, sample_id: int, epoch: int, view: str) -> np.random.Generator:
    """The generator of one view of one sample: the same in every process and at every time."""
    return np.random.Generator(np.random.Philox(key=derive(seed, sample_id, epoch, view)))


@dataclass(frozen=True)
class RandomResizedCrop(Augmentation):
    """A random part of the picture, resized (bilinear), without a flip.

    The defaults are STANDARD_SLIP of the paper's released code (Sense-GVT/DeCLIP): area
    0.5-1.0, aspect 3/4-4/3. Sampling follows torchvision's RandomResizedCrop: ten tries, then
    the largest central crop of an allowed aspect.
    """

    min_area: float = 0.5
    max_area: float = 1.0
    min_aspect: float = 3 / 4
    max_aspect: float = 4 / 3

    def __post_init__(self) -> None:
        _check_crop(self)

    def __call__(
        self, picture: Image.Image, size: int, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        return pixels(_cropped(self, picture, size, rng))

    def needed_side(self, size: int) -> int:
        return _needed_side(self, size)


@dataclass(frozen=True)
class Strong(Augmentation):
    """A random part of the picture, then colour jitter, grayscale, blur and a flip by chance.

    The defaults are MOCOV2 of the paper's released code: area 0.2-1.0, ColorJitter(0.4, 0.4,
    0.4, 0.1) with probability 0.8, grayscale 0.2, Gaussian blur of radius U(0.1, 2.0) 0.5, flip
    0.5. Jitter has torchvision's semantics: the four in random order, factors U(1 - x, 1 + x),
    hue U(-x, x) of the circle. Blur radii are pixels of a picture of `blur_reference_size`; at
    another size they are scaled with it, so that the same detail is lost (2 px would leave
    little of a 32 px picture). At 224 px they are the released ones.
    """

    min_area: float = 0.2
    max_area: float = 1.0
    min_aspect: float = 3 / 4
    max_aspect: float = 4 / 3
    jitter_p: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    grayscale_p: float = 0.2
    blur_p: float = 0.5
    blur_min_radius: float = 0.1
    blur_max_radius: float = 2.0
    blur_reference_size: int = 224
    flip_p: float = 0.5

    def __post_init__(self) -> None:
        _check_crop(self)
        shares(self, "jitter_p", "grayscale_p", "blur_p", "flip_p")
        stray = "it is how far a factor may stray"
        numbers(self, "brightness", "contrast", "saturation", least=0, why=stray)
        numbers(self, "hue", least=0, most=0.5, why="half the circle reaches every hue")
        numbers(self, "blur_min_radius", "blur_max_radius", least=0, why="it is a radius in pixels")
        ordered(self, "blur_min_radius", "blur_max_radius")
        counts(self, "blur_reference_size", why="it is a side in pixels", mend="give 224")

    def __call__(
        self, picture: Image.Image, size: int, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        picture = _cropped(self, picture, size, rng)
        if rng.random() < self.jitter_p:
            picture = self._jitter(picture, rng)
        if rng.random() < self.grayscale_p:
            picture = distort.grayscale(picture)
        if rng.random() < self.blur_p:
            radius = rng.uniform(self.blur_min_radius, self.blur_max_radius)
            picture = distort.blur(picture, radius * size / self.blur_reference_size)
        if rng.random() < self.flip_p:
            picture = distort.flip(picture)
        return pixels(picture)

    def needed_side(self, size: int) -> int:
        return _needed_side(self, size)

    def _jitter(self, picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        steps = (
            (distort.brightness, self.brightness),
            (distort.contrast, self.contrast),
            (distort.saturation, self.saturation),
        )
        for step in rng.permutation(4).tolist():
            if step == 3:
                picture = distort.hue(picture, rng.uniform(-self.hue, self.hue))
                continue
            change, reach = steps[step]
            picture = change(picture, rng.uniform(max(0.0, 1 - reach), 1 + reach))
        return picture


def crop_box(
    crop: RandomResizedCrop | Strong, width: int, height: int, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a random part, as torchvision's RandomResizedCrop draws it."""
    low, high = math.log(crop.min_aspect), math.log(crop.max_aspect)
    for _ in range(10):
        area = width * height * rng.uniform(crop.min_area, crop.max_area)
        aspect = math.exp(rng.uniform(low, high))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left = int(rng.integers(0, width - w + 1))
            top = int(rng.integers(0, height - h + 1))
            return left, top, left + w, top + h
    aspect = min(max(width / height, crop.min_aspect), crop.max_aspect)
    w = min(width, max(1, round(height * aspect)))
    h = min(height, max(1, round(width / aspect)))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def _cropped(
    crop: RandomResizedCrop | Strong, picture: Image.Image, size: int, rng: np.random.Generator
) -> Image.Image:
    box = crop_box(crop, picture.width, picture.height, rng)
    return picture.resize((size, size), Image.Resampling.BILINEAR, box=box)


def _needed_side(crop: RandomResizedCrop | Strong, size: int) -> int:
    """The smallest crop's shorter side is the picture's, times sqrt(area / aspect)."""
    aspect = max(crop.max_aspect, 1 / crop.min_aspect)
    return math.ceil(size * math.sqrt(aspect / crop.min_area))


def _check_crop(crop: RandomResizedCrop | Strong) -> None:
    numbers(crop, "min_area", "max_area", above=0, most=1, why="it is a share of the picture")
    numbers(crop, "min_aspect", "max_aspect", above=0, why="it is a width over a height")
    ordered(crop, "min_area", "max_area")
    ordered(crop, "min_aspect", "max_aspect")


@dataclass(frozen=True)
class CenterCrop(Augmentation):
    """The picture's short side resized (bilinear) to size * ratio, then the central square.

    ratio 256/224 is the paper's ONECROP evaluation; 1.0 keeps the whole short side.
    """

    ratio: float = 256 / 224
    interpolation: ClassVar[Image.Resampling] = Image.Resampling.BILINEAR

    def __post_init__(self) -> None:
        numbers(self, "ratio", least=1, why="the square lies within the picture")

    def __call__(
        self, picture: Image.Image, size: int, rng: np.random.Generator | None = None
    ) -> NDArray[np.uint8]:
        side = min(picture.width, picture.height) / self.ratio
        left, top = (picture.width - side) / 2, (picture.height - side) / 2
        box = (left, top, left + side, top + side)
        return pixels(picture.resize((size, size), self.interpolation, box=box))

    def needed_side(self, size: int) -> int:
        return math.ceil(size * self.ratio)


def pixels(picture: Image.Image) -> NDArray[np.uint8]:
    """uint8 [H, W, 3] of an RGB picture."""
    return np.asarray(picture, dtype=np.uint8)


# The names of the released code (Sense-GVT/DeCLIP). Its SLIP makes three views of a picture.
STANDARD_SLIP = RandomResizedCrop()
MOCOV2 = Strong()
SLIP: Mapping[View, ImageAugmentation] = {
    IMAGE: STANDARD_SLIP,
    IMAGE_A: MOCOV2,
    IMAGE_B: MOCOV2,
}
ONECROP = CenterCrop(ratio=256 / 224)
