"""How held-out pictures are cropped. Oracle: a picture whose border and centre are told apart."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from seedbed.data.corpus import Corpus
from seedbed.data.opening import open_corpus
from seedbed.data.render.image import ONECROP, CenterCrop
from seedbed.data.render.render import Rendering, TestSet, render_test_set
from seedbed.data.views import IMAGE, TEXT
from seedbed.errors import SeedbedError

SIDE = 64


def framed(number: int) -> bytes:
    """A white picture with a black square in its middle half, and its number in the file."""
    picture = Image.new("RGB", (SIDE, SIDE), "white")
    picture.paste("black", (SIDE // 4, SIDE // 4, 3 * SIDE // 4, 3 * SIDE // 4))
    out, words = io.BytesIO(), PngInfo()
    words.add_text("number", str(number))
    picture.save(out, "PNG", pnginfo=words)
    return out.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with tarfile.open(tmp_path / "00000.tar", "w") as tar:
        for n in range(40):
            # Each its own picture to the byte: copies of held-out ones are never trained on.
            for name, content in (("png", framed(n)), ("txt", f"picture {n}".encode())):
                member = tarfile.TarInfo(f"{n:06}.{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return tmp_path


def rendered(folder: Path, home: Path, crop: CenterCrop) -> TestSet:
    corpus = open_corpus(Corpus(uri=str(folder), caption="txt"), home)
    rendering = Rendering({IMAGE: CenterCrop()}, (TEXT,), 32, 12, "txt", 0, test_crop=crop)
    return render_test_set(corpus.test, rendering)


def test_a_test_crop_takes_the_middle_of_the_short_side(folder: Path, home: Path) -> None:
    whole, half = (rendered(folder, home, CenterCrop(ratio)) for ratio in (1.0, 2.0))
    assert len(whole.images) == len(half.images) > 0
    assert (whole.images[:, 0] == 255).all() and (whole.images[:, 16, 16] == 0).all()
    # What bilinear sampling reaches beyond the square is its outermost pixel.
    assert (half.images[:, 1:-1, 1:-1] == 0).all()
    # 16 of 64 columns are border: 8 of 32 pixels. Of the middle 224 / 256, which is 56 columns,
    # 12 are: 12 * 32 / 56 = 6.9.
    inner = rendered(folder, home, ONECROP)
    border = [int((found.images[0, 16, :16, 0] > 127).sum()) for found in (whole, inner)]
    assert border == [8, 7]


def test_a_crop_beyond_the_picture_is_refused() -> None:
    with pytest.raises(SeedbedError, match="the square lies within the picture"):
        CenterCrop(0.5)
