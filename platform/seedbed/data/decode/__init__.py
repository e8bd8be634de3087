"""Bytes to pictures: one decoder a file, found by walking this folder."""

from __future__ import annotations

import functools

from PIL import Image

from seedbed.data.decode.decoder import Decoder
from seedbed.errors import SampleFault
from seedbed.found import classes_in


@functools.cache
def all_decoders() -> tuple[Decoder, ...]:
    """Every decoder of this folder, by the name of its file."""
    return tuple(kind() for _, kind in classes_in(__name__, Decoder))


@functools.cache
def image_extensions() -> tuple[str, ...]:
    """Extensions of a sample's picture, in the order in which they are looked for."""
    return tuple(dict.fromkeys(e for decoder in all_decoders() for e in decoder.extensions))


def decode(content: bytes, side: int = 0) -> Image.Image:
    """The picture, by the decoder that takes its bytes: see `Decoder.decode`."""
    return _decoder_of(content).decode(content, side)


def size_of(content: bytes) -> tuple[int, int]:
    """Width and height of the picture, in pixels: see `Decoder.size`."""
    return _decoder_of(content).size(content)


def _decoder_of(content: bytes) -> Decoder:
    """Raises SampleFault where no decoder takes the bytes."""
    for decoder in all_decoders():
        if decoder.takes(content):
            return decoder
    *others, last = (name for decoder in all_decoders() for name in decoder.formats)
    raise SampleFault(f"picture does not decode: cannot be read as {', '.join(others)} or {last}")
