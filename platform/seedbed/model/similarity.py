"""How a trained model compares pictures with captions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor, nn


class Encoders(Protocol):
    """What a comparison may use of a model: its towers, and its embeddings where it has them."""

    towers: nn.ModuleDict

    def embed_image(self, images: Tensor) -> Tensor:
        """uint8 [n, S, S, 3] to [n, embed_dim]."""

    def embed_text(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Token ids [n, L] and lengths [n] to [n, embed_dim]."""


class Similarity(ABC):
    """Encodes captions and pictures, and compares each picture with the captions it holds."""

    @abstractmethod
    def read_text(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        """Token ids [m, L] and lengths [m] to what is compared of these captions, [m, ...] each."""

    @abstractmethod
    def read_image(self, images: Tensor) -> Tensor:
        """uint8 [n, S, S, 3] to what is compared of these pictures [n, ...]."""

    @abstractmethod
    def both(self, image: Tensor, text: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """How alike they are [n, m], by the picture and by the caption; the same for cosines."""

    def by_image(self, image: Tensor, text: tuple[Tensor, ...]) -> Tensor:
        """The first of `both`, by which pictures are classified."""
        return self.both(image, text)[0]

    def hold(self, texts: Sequence[tuple[Tensor, ...]]) -> None:
        """Compare pictures with these captions from now on: what `read_text` made of some each."""
        self.texts = list(texts)

    def scores(self, images: Tensor) -> Tensor:
        """uint8 [n, S, S, 3] to [n, number of captions]: the more alike, the higher."""
        import torch

        image = self.read_image(images)
        return torch.cat([self.by_image(image, text) for text in self.texts], dim=1)


class Cosines(Similarity):
    """The cosine of embeddings."""

    def __init__(self, encoders: Encoders) -> None:
        self.encoders = encoders

    def read_text(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        import torch.nn.functional as F

        return (F.normalize(self.encoders.embed_text(ids, lengths).float(), dim=-1),)

    def read_image(self, images: Tensor) -> Tensor:
        import torch.nn.functional as F

        return F.normalize(self.encoders.embed_image(images).float(), dim=-1)

    def both(self, image: Tensor, text: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        cosines = image @ text[0].T
        return cosines, cosines

    def hold(self, texts: Sequence[tuple[Tensor, ...]]) -> None:
        import torch

        # One product for all: its parts could differ in a last bit.
        self.texts = [(torch.cat([embedded for (embedded,) in texts]),)]
