"""How a trained model compares pictures with captions."""

from __future__ import annotations

from collections.abc import Iterator
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


class Similarity(Protocol):
    """Encodes captions once, then compares pictures with all of them."""

    def read_texts(self, batches: Iterator[tuple[Tensor, Tensor]]) -> None:
        """Encode the captions, given as batches of token ids [m, L] and lengths [m]."""

    def scores(self, images: Tensor) -> Tensor:
        """uint8 [n, S, S, 3] to [n, number of captions]: the more alike, the higher."""


class Cosines:
    """The cosine of embeddings."""

    def __init__(self, encoders: Encoders) -> None:
        self.encoders = encoders

    def read_texts(self, batches: Iterator[tuple[Tensor, Tensor]]) -> None:
        import torch
        import torch.nn.functional as F

        parts = [self.encoders.embed_text(ids, lengths).float() for ids, lengths in batches]
        self.texts = F.normalize(torch.cat(parts), dim=-1)

    def scores(self, images: Tensor) -> Tensor:
        import torch.nn.functional as F

        return F.normalize(self.encoders.embed_image(images).float(), dim=-1) @ self.texts.T
