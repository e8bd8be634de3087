"""What an evaluation asks of a model, whoever has trained it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    Classifier = Callable[[Tensor], Tensor]

PROMPTS = 256  # encoded at a time


class Encoder(ABC):
    """A trained model with its own preparation of pictures and texts.

    `name` is what results are written under, and `protocol` what of it changes a result beside the
    weights: precision, size, interpolation.
    """

    name: str
    protocol: dict[str, Any]

    @property
    @abstractmethod
    def pixels(self) -> tuple[object, ...]:
        """What `prepare` depends on: encoders with equal ones share prepared pictures."""

    @abstractmethod
    def prepare(self, picture: Image) -> Tensor:
        """One picture as the model takes it."""

    @abstractmethod
    def embed_images(self, pictures: Tensor) -> Tensor:
        """Prepared pictures [n, ...] to embeddings [n, d], not normalised."""

    @abstractmethod
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Texts to embeddings [n, d], not normalised."""

    def classifier(self, prompts: Sequence[Sequence[str]]) -> Classifier:
        """From prepared pictures to scores [n, classes]; `prompts` are each class's own.

        The cosine with the class's embedding: the mean of its prompts' normalised embeddings,
        normalised (Radford et al. 2021, arXiv:2103.00020, section 3.1.4).
        """
        import torch
        import torch.nn.functional as F

        # Classes together: one at a time a small model waits more than it computes.
        means, at_once = [], max(1, PROMPTS // max(map(len, prompts)))
        for first in range(0, len(prompts), at_once):
            some = prompts[first : first + at_once]
            embedded = self.embed_texts([text for own in some for text in own])
            sizes = [len(own) for own in some]
            parts = torch.split(F.normalize(embedded.float(), dim=-1), sizes)
            means += [F.normalize(part.mean(0), dim=-1) for part in parts]
        classes = torch.stack(means, dim=1)
        return lambda pictures: F.normalize(self.embed_images(pictures).float(), dim=-1) @ classes
