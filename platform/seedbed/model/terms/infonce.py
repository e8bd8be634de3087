"""The contrastive pair loss of CLIP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seedbed.data.views import IMAGE, TEXT, View
from seedbed.model.expect import expect
from seedbed.model.term import Feature, Features, Temperature, Term

if TYPE_CHECKING:
    from torch import Tensor, nn

    from seedbed.model.gather import Gather


def info_nce(
    image: Tensor, text: Tensor, scale: Tensor | float, *, gather: Gather | None = None
) -> Tensor:
    """Symmetric cross-entropy of matched pairs against all pairs of the global batch.

    image [n, D], text [n, D] un-normalised -> loss []. `scale` multiplies cosines. With a
    gather, rows are this rank's and columns all ranks'. Radford et al. 2021 (arXiv:2103.00020),
    fig. 3.
    """
    import torch
    import torch.nn.functional as F

    from seedbed.model.gather import Gather

    gather = gather or Gather()
    image, text = F.normalize(image, dim=-1), F.normalize(text, dim=-1)
    target = gather.offset + torch.arange(len(image), device=image.device)
    if gather.world == 1:
        # One matrix product serves both directions when all rows are here.
        logits = scale * image @ text.T
        rows = F.cross_entropy(logits, target, reduction="none")
        columns = F.cross_entropy(logits.T, target, reduction="none")
    else:
        to_text = scale * image @ gather.rows(text).T
        to_image = scale * text @ gather.rows(image).T
        rows = F.cross_entropy(to_text, target, reduction="none")
        columns = F.cross_entropy(to_image, target, reduction="none")
    return gather.mean((rows + columns) / 2)


@dataclass(frozen=True)
class InfoNCE(Term):
    """`info_nce` between an image view and a text view."""

    image: View = IMAGE
    text: View = TEXT
    temperature: Temperature = Temperature()

    def __post_init__(self) -> None:
        expect(self, "image", self.image)
        expect(self, "text", self.text)

    @property
    def needs(self) -> frozenset[Feature]:
        return frozenset({Feature(self.image), Feature(self.text)})

    @property
    def temperatures(self) -> frozenset[Temperature]:
        return frozenset({self.temperature})

    def flops(self, shapes: Mapping[Feature, tuple[int, ...]], batch: int) -> float:
        return 2.0 * batch * shapes[Feature(self.image)][-1]

    def loss(self, features: Features, layers: nn.ModuleDict) -> Tensor:
        return info_nce(
            features[Feature(self.image)],
            features[Feature(self.text)],
            features.scale(self.temperature),
            gather=features.gather,
        )
