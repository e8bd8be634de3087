"""The views of a sample that a supervision term may read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Modality = Literal["image", "text"]


@dataclass(frozen=True, order=True)
class View:
    """One rendering of a sample: a role, made in the stream only when some term reads it.

    An image view arrives as `name` uint8 [b, H, W, 3]; a text view as `name` int32 [b, L] token
    ids and `name_length` int32 [b], the number of tokens with start and end of text counted.
    """

    name: str
    modality: Modality

    @property
    def length(self) -> str:
        """The column that holds a text view's lengths."""
        return f"{self.name}_length"


IMAGE = View("image", "image")
TEXT = View("text", "text")
