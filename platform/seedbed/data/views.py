"""The views of a sample that a supervision term may read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Modality = Literal["image", "text"]


@dataclass(frozen=True, order=True)
class View:
    """One rendering of a sample: a role, made in the stream only when some term reads it.

    An image view arrives as `name` uint8 [b, H, W, 3]; a text view as `name` int32 [b, L] token
    ids and `name_length` int32 [b], the number of tokens with start and end of text counted. A
    masked text view also brings `name_target` int32 [b, L], the id that was masked or -100.
    """

    name: str
    modality: Modality

    @property
    def length(self) -> str:
        """The column that holds a text view's lengths."""
        return f"{self.name}_length"

    @property
    def target(self) -> str:
        """The column that holds a masked text view's targets."""
        return f"{self.name}_target"


# The roles; what each looks like is the recipe's (`augment.<name>`). A sample's views of one
# role are the same for every term and every variant that reads it.
IMAGE = View("image", "image")
IMAGE_A = View("image_a", "image")
IMAGE_B = View("image_b", "image")
TEXT = View("text", "text")
TEXT_AUG = View("text_aug", "text")
TEXT_MASKED = View("text_masked", "text")
