"""What every decoder promises, found by walking the folder.

Oracle: pictures written by Pillow, each of one colour, and bytes spoiled by hand.
"""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import seedbed.data.decode
from seedbed.data.decode import all_decoders, decode, image_extensions, size_of
from seedbed.data.decode.decoder import Decoder
from seedbed.errors import SampleFault

WIDTH, HEIGHT, COLOUR = 40, 24, (40, 90, 160)


def saved(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT), COLOUR).save(out, kind)
    return out.getvalue()


# A picture of each format that some decoder names: a new format is asked for here.
PICTURES = {kind: saved(kind) for kind in ("JPEG", "PNG", "WEBP", "GIF")}
FORMATS = [
    pytest.param(decoder, name, id=f"{type(decoder).__name__}-{name}")
    for decoder in all_decoders()
    for name in decoder.formats
]
EACH = pytest.mark.parametrize(("decoder", "name"), FORMATS)


@EACH
def test_it_alone_takes_the_pictures_of_its_formats(decoder: Decoder, name: str) -> None:
    assert [one for one in all_decoders() if one.takes(PICTURES[name])] == [decoder]


@EACH
def test_it_gives_the_picture_in_colour(decoder: Decoder, name: str) -> None:
    picture = decoder.decode(PICTURES[name])
    assert picture.mode == "RGB" and picture.size == (WIDTH, HEIGHT)
    assert np.abs(np.asarray(picture, np.int64) - COLOUR).max() <= 6  # of lossy formats
    assert decoder.size(PICTURES[name]) == size_of(PICTURES[name]) == (WIDTH, HEIGHT)


@EACH
def test_a_smaller_picture_is_never_smaller_than_was_asked_for(decoder: Decoder, name: str) -> None:
    assert min(decoder.decode(PICTURES[name], 9).size) >= 9


@EACH
def test_what_is_cut_or_spoiled_is_a_fault_of_the_sample_and_nothing_else(
    decoder: Decoder, name: str
) -> None:
    whole = PICTURES[name]
    for length in (12, len(whole) // 4):
        with pytest.raises(SampleFault, match="picture does not decode"):
            decoder.decode(whole[:length])
    random = np.random.default_rng(0)
    for _ in range(100):
        spoiled = bytearray(whole)
        for place in random.integers(4, len(whole), 8):
            spoiled[place] = random.integers(256)
        try:
            assert decoder.decode(bytes(spoiled)).mode == "RGB"
        except SampleFault:
            continue


def test_extensions_are_lower_case_and_each_has_one_decoder() -> None:
    extensions = [e for decoder in all_decoders() for e in decoder.extensions]
    assert len(set(extensions)) == len(extensions) and set(extensions) == set(image_extensions())
    assert all(e == e.lower() and not e.startswith(".") for e in extensions)


def test_bytes_that_nobody_takes_are_a_fault_that_names_every_format() -> None:
    with pytest.raises(SampleFault) as caught:
        decode(b"BM no format of corpora")
    assert all(name in str(caught.value) for one in all_decoders() for name in one.formats)


NEW = """
from PIL import Image

from seedbed.data.decode.decoder import Decoder


class Plain(Decoder):
    formats = ("PLAIN",)
    extensions = ("plain",)

    def takes(self, content):
        return content.startswith(b"plain")

    def size(self, content):
        return 1, 1

    def decode(self, content, side=0):
        return Image.new("RGB", (1, 1), tuple(content[5:8]))
"""
USE = """
import sys, seedbed.data.decode as place
place.__path__.append(sys.argv[1])
from seedbed.data.decode import decode
from seedbed.data.shards.sample import RawSample
sample = RawSample("k", {"plain": b"plain" + bytes((1, 2, 3))})
print(decode(sample.image()).getpixel((0, 0)))
"""


def test_a_decoder_is_one_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(NEW)
    line = [sys.executable, "-c", USE, str(tmp_path)]
    assert subprocess.run(line, capture_output=True, text=True).stdout == "(1, 2, 3)\n"
    assert len(seedbed.data.decode.__path__) == 1
