"""What a decoder is: a file of this folder that says which pictures it takes and decodes them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from PIL import Image


class Decoder(ABC):
    """Decodes pictures of some formats.

    A member of a sample is a picture if its extension is one of `extensions`; the decoder is chosen
    by the bytes alone, since extensions on the web are often wrong.
    """

    formats: ClassVar[tuple[str, ...]]  # as messages name them
    extensions: ClassVar[tuple[str, ...]]  # lower case, without the dot

    @abstractmethod
    def takes(self, content: bytes) -> bool:
        """Whether `content` begins like one of the formats. No two decoders take the same bytes."""

    @abstractmethod
    def size(self, content: bytes) -> tuple[int, int]:
        """Width and height in pixels, from the header alone. Raises where it cannot be read."""

    @abstractmethod
    def decode(self, content: bytes, side: int = 0) -> Image.Image:
        """RGB picture, upright; transparency is laid on white.

        With `side` it may be downscaled, as long as neither side falls below `side`. Raises
        SampleFault, and nothing else, for what does not decode or is too large.
        """
