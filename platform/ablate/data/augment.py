"""Decoding and image augmentation: bytes to uint8 pixels, seeded per sample.

Pixels stay uint8 until the device normalises them: a quarter of the bytes through the store.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ablate.data.order import derive
from ablate.data.shard import SampleFault

MAX_PIXELS = 64_000_000  # above it a picture is a decompression bomb, not a photograph


class ImageAugmentation(Protocol):
    """A frozen description that turns a picture into `size` x `size` pixels."""

    def __call__(
        self, picture: Image.Image, size: int, rng: np.random.Generator
    ) -> NDArray[np.uint8]: ...


def decode(content: bytes) -> Image.Image:
    """RGB picture from PNG, JPEG or WebP bytes; transparency is laid on white.

    Raises SampleFault when it does not decode or is larger than MAX_PIXELS.
    """
    try:
        picture: Image.Image = Image.open(io.BytesIO(content))
        if picture.width * picture.height > MAX_PIXELS:
            raise SampleFault(f"picture of {picture.width} x {picture.height} pixels is too large")
        if picture.mode.startswith("I"):
            # 16 bits a pixel: Pillow's own conversion clips at 255 instead of scaling.
            wide = np.clip(np.asarray(picture, dtype=np.int64), 0, 65_535)
            picture = Image.fromarray((wide >> 8).astype(np.uint8))
        if picture.mode == "P" or "transparency" in picture.info:
            picture = picture.convert("RGBA")
        if picture.mode in ("RGBA", "LA", "PA"):
            picture = picture.convert("RGBA")
            ground = Image.new("RGBA", picture.size, "white")
            return Image.alpha_composite(ground, picture).convert("RGB")
        return picture.convert("RGB")
    except SampleFault:
        raise
    except Exception as error:  # Pillow's decoders raise whatever their format's code raises
        raise SampleFault(f"picture does not decode: {error}") from None


def sample_rng(seed: int, sample_id: int, epoch: int, view: str) -> np.random.Generator:
    """The generator of one view of one sample: the same whoever makes it, and whenever."""
    return np.random.Generator(np.random.Philox(key=derive(seed, sample_id, epoch, view)))


@dataclass(frozen=True)
class RandomResizedCrop:
    """A random part of the picture, resized (bilinear), without a flip.

    The defaults are STANDARD_SLIP of the paper's released code (Sense-GVT/DeCLIP): area
    0.5-1.0, aspect 3/4-4/3. Sampling follows torchvision's RandomResizedCrop: ten tries, then
    the largest central crop of an allowed aspect.
    """

    min_area: float = 0.5
    max_area: float = 1.0
    min_aspect: float = 3 / 4
    max_aspect: float = 4 / 3

    def __call__(
        self, picture: Image.Image, size: int, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        box = self._box(picture.width, picture.height, rng)
        return pixels(picture.resize((size, size), Image.Resampling.BILINEAR, box=box))

    def _box(self, width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
        low, high = math.log(self.min_aspect), math.log(self.max_aspect)
        for _ in range(10):
            area = width * height * rng.uniform(self.min_area, self.max_area)
            aspect = math.exp(rng.uniform(low, high))
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                left = int(rng.integers(0, width - w + 1))
                top = int(rng.integers(0, height - h + 1))
                return left, top, left + w, top + h
        aspect = min(max(width / height, self.min_aspect), self.max_aspect)
        w = min(width, max(1, round(height * aspect)))
        h = min(height, max(1, round(width / aspect)))
        left, top = (width - w) // 2, (height - h) // 2
        return left, top, left + w, top + h


@dataclass(frozen=True)
class CenterCrop:
    """The picture's short side resized (bilinear) to size * ratio, then the central square.

    ratio 256/224 is the paper's ONECROP evaluation; 1.0 keeps the whole short side.
    """

    ratio: float = 256 / 224

    def __call__(
        self, picture: Image.Image, size: int, rng: np.random.Generator | None = None
    ) -> NDArray[np.uint8]:
        side = min(picture.width, picture.height) / self.ratio
        left, top = (picture.width - side) / 2, (picture.height - side) / 2
        box = (left, top, left + side, top + side)
        return pixels(picture.resize((size, size), Image.Resampling.BILINEAR, box=box))


def pixels(picture: Image.Image) -> NDArray[np.uint8]:
    """uint8 [H, W, 3] of an RGB picture."""
    return np.asarray(picture, dtype=np.uint8)
