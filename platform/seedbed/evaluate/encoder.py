"""What an evaluation asks of a model, whoever has trained it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    Classifier = Callable[[Tensor], Tensor]
    Rows = Callable[[slice], Tensor]

PROMPTS = 256  # encoded at a time


class Encoder(ABC):
    """A trained model with its own preparation of pictures and texts.

    `name` is what results are written under, and `protocol` what of it changes a result beside the
    weights: precision, size, interpolation.
    """

    name: str
    pretrained = ""  # the weights, where `name` is an architecture
    protocol: dict[str, Any]
    features = "embeddings"  # what probes read of pictures
    compares = True  # pictures with texts, which it was trained to

    @property
    @abstractmethod
    def pixels(self) -> tuple[object, ...]:
        """What `prepare` depends on: encoders with equal ones share prepared pictures."""

    def decode(self, content: bytes) -> Image:
        """A picture's bytes as the model's training saw them. Raises SampleFault."""
        from seedbed.data.decode import decode

        return decode(content)

    @abstractmethod
    def prepare(self, picture: Image) -> Tensor:
        """One picture as the model takes it."""

    @abstractmethod
    def embed_images(self, pictures: Tensor) -> Tensor:
        """Prepared pictures [n, ...] to `features` [n, d], not normalised."""

    @abstractmethod
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Texts to embeddings [n, d], not normalised."""

    def classifier(self, prompts: Sequence[Sequence[str]]) -> Classifier:
        """From prepared pictures to scores [n, classes]; `prompts` are each class's own."""
        return self.classifier_of(self.read(prompts))

    def read(self, prompts: Sequence[Sequence[str]], rank: int = 0, of: int = 1) -> Read:
        """What `classifier_of` needs of the classes: their texts, which cost the most, read once.

        Of several ranks each reads its part, and `Read.joined` has the numbers of one that reads
        all, to the last bit. Classes of the same prompts are read once and score the same.
        """
        each: dict[tuple[str, ...], int] = {}
        places = tuple(each.setdefault(tuple(own), len(each)) for own in prompts)
        blocks = self.blocks(list(each))
        return Read(tuple(self.read_block(one) for one in blocks[rank::of]), places)

    def blocks(self, prompts: Sequence[Sequence[str]]) -> list[Sequence[Sequence[str]]]:
        """The prompts of all classes as they are read, some at a time."""
        # Classes together: one at a time a small model waits more than it computes.
        at_once = max(1, PROMPTS // max(map(len, prompts)))
        return [prompts[first : first + at_once] for first in range(0, len(prompts), at_once)]

    def read_block(self, block: Sequence[Sequence[str]]) -> tuple[Tensor, ...]:
        """Each class's embedding [classes, d]: the mean of its prompts' normalised embeddings,
        normalised (Radford et al. 2021, arXiv:2103.00020, section 3.1.4)."""
        import torch
        import torch.nn.functional as F

        embedded = self.embed_texts([text for own in block for text in own])
        parts = torch.split(F.normalize(embedded.float(), dim=-1), [len(own) for own in block])
        return (torch.stack([F.normalize(part.mean(0), dim=-1) for part in parts]),)

    def classifier_of(self, read: Read) -> Classifier:
        """By the cosine with each class's embedding."""
        import torch

        classes = torch.cat([block[0] for block in read.blocks]).T.contiguous()
        return lambda pictures: read.every(self.rows(pictures) @ classes)

    def rows(self, pictures: Tensor) -> Tensor:
        """What is compared of prepared pictures [n, ...]: their embeddings, normalised."""
        import torch.nn.functional as F

        return F.normalize(self.embed_images(pictures).float(), dim=-1)

    def compared(self, rows: Tensor, captions: Sequence[str]) -> tuple[Rows, Rows]:
        """Scores of some pictures with all captions, and of some captions with all pictures: the
        functions that make them, of a part of the `rows` of pictures or of the captions."""
        import torch.nn.functional as F

        texts = F.normalize(self.embed_texts(captions).float(), dim=-1)
        return lambda part: rows[part] @ texts.T, lambda part: texts[part] @ rows.T


@dataclass(frozen=True)
class Read:
    """What a model made of classes' prompts: tensors by `blocks` of different classes, and for each
    class its place among these [classes]."""

    blocks: tuple[tuple[Tensor, ...], ...]
    places: tuple[int, ...]

    @classmethod
    def joined(cls, parts: Sequence[Read]) -> Read:
        """Of what all ranks have read, in their order."""
        longest = max(len(part.blocks) for part in parts)
        blocks = [part.blocks[n] for n in range(longest) for part in parts if n < len(part.blocks)]
        return cls(tuple(blocks), parts[0].places)

    def every(self, scores: Tensor) -> Tensor:
        """Scores of the different classes as those of all [n, classes]."""
        if self.places == tuple(range(scores.shape[1])):
            return scores
        return scores[:, list(self.places)]
