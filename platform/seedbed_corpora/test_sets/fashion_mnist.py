"""Fashion-MNIST: 70,000 grey pictures of clothes in 10 classes (Xiao et al. 2017)."""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from seedbed.errors import DataError

if TYPE_CHECKING:
    from rich.progress import Progress

    from seedbed_corpora.test_sets import Labelled

DEBIAN = "dataset-fashion-mnist"
PLACE = Path("usr/share/datasets/fashion-mnist")  # in that package
SIDE = 28
CLASSES = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
    "ankle boot",
)  # fmt: skip
TEMPLATES = ("a photo of a {c}.", "a photo of the {c}.", "a black and white photo of a {c}.")
ATTRIBUTION = (
    "Fashion-MNIST by Zalando SE (Xiao, Rasul and Vollgraf, arXiv:1708.07747), MIT, from the "
    f"Debian package `{DEBIAN}`."
)


def read(
    home: Path, downloads: Path, progress: Progress | None
) -> tuple[tuple[str, ...], dict[str, Labelled]]:
    folder = _folder(downloads)
    return CLASSES, {
        "test": pictures(folder, "t10k"),
        "train": pictures(folder, "train"),
    }


def _folder(downloads: Path) -> Path:
    """Where the package is installed, or else unpacked: apt and dpkg do that for any user."""
    if (installed := Path("/") / PLACE).is_dir():
        return installed
    try:
        if not (shutil.which("apt-get") and shutil.which("dpkg")):
            raise OSError("there is no apt-get here")
        told = {"cwd": downloads, "check": True, "capture_output": True}
        subprocess.run(["apt-get", "download", DEBIAN], **told)  # type: ignore[call-overload]
        archive = next(downloads.glob(f"{DEBIAN}*.deb"))
        subprocess.run(["dpkg", "-x", archive.name, "."], **told)  # type: ignore[call-overload]
    except (OSError, StopIteration, subprocess.CalledProcessError) as error:
        raise DataError(
            "Fashion-MNIST cannot be fetched",
            why=f"it comes as the Debian package {DEBIAN}: {error}",
            mend=f"apt-get install {DEBIAN}, or put its four .gz files into /{PLACE}",
        ) from error
    return downloads / PLACE


def pictures(folder: Path, part: str) -> Iterator[tuple[bytes, str, int]]:
    """The IDX files' pictures; their headers are of 16 and 8 bytes."""
    pixels = gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes())[8:]
    for picture, label in zip(
        np.frombuffer(pixels, np.uint8).reshape(-1, SIDE, SIDE), labels, strict=True
    ):
        out = io.BytesIO()
        Image.fromarray(picture).save(out, "PNG")
        yield out.getvalue(), "png", int(label)
