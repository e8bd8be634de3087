"""A corpus like photographs, and how every loader under test makes a sample of it."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seedbed.data.decode import decode
from seedbed.data.render import tokenizer
from seedbed.data.render.image import STANDARD_SLIP, sample_rng

SIDE, SIZE, CONTEXT, EACH = 256, 224, 77, 500  # pixels, tokens, pairs in a shard


def write_corpus(folder: Path, num_samples: int) -> None:
    """JPEGs like photographs: smooth shapes with grain, about 20 kB each."""
    rng = np.random.default_rng(0)
    for shard in range(num_samples // EACH):
        with tarfile.open(folder / f"{shard:05}.tar", "w") as tar:
            for n in range(EACH):
                coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
                grain = rng.integers(-12, 13, (SIDE, SIDE, 3))
                smooth = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
                out = io.BytesIO()
                pixels = np.clip(smooth + grain, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(out, "JPEG", quality=85)
                words = f"a picture of shape number {n} in shard {shard}"
                for name, content in (("jpg", out.getvalue()), ("txt", words.encode())):
                    member = tarfile.TarInfo(f"{shard:05}{n:05}.{name}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))


def as_arrays(number: int, picture: bytes, caption: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Pixels uint8 [S, S, 3] and token ids [context] of a pair."""
    pixels = decode(picture, STANDARD_SLIP.needed_side(SIZE))
    ids, _ = tokenizer.encode([caption], CONTEXT)
    return STANDARD_SLIP(pixels, SIZE, sample_rng(0, number, 0, "image")), ids[0]
