"""Multi-view supervision: the contrastive loss of every image view with every text view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seedbed.data.views import IMAGE_A, IMAGE_B, TEXT_AUG, TEXT_MASKED, View
from seedbed.errors import StudyError
from seedbed.model.expect import expect
from seedbed.model.term import Feature, Features, Temperature, Term
from seedbed.model.terms.infonce import info_nce

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class MultiView(Term):
    """The mean of `info_nce` over pairs of views. Li et al. 2022, DeCLIP (arXiv:2110.05208).

    The default is what the released code trains: four pairs of two strong image views with the
    masked and the augmented caption, so that the caption itself is in no pair. It saves a text
    pass, since the masked caption is encoded for its own term anyway; `TEXT` in place of
    `TEXT_MASKED` is the formula of the DeCLIP paper, at one text pass more. `skip_first` leaves
    out the first pair, where another term has it (fig. 1 of arXiv:2203.05796).
    """

    image_a: View = IMAGE_A
    image_b: View = IMAGE_B
    text_a: View = TEXT_MASKED
    text_b: View = TEXT_AUG
    skip_first: bool = False
    temperature: Temperature = Temperature()

    def __post_init__(self) -> None:
        expect(self, "image", self.image_a, self.image_b)
        expect(self, "text", self.text_a, self.text_b)
        if self.skip_first and len(set(self.all_pairs)) == 1:
            raise StudyError(
                "MultiView skips its first pair and has no other",
                why=f"both its pictures are {self.image_a.name}, both captions {self.text_a.name}",
                mend="give it another view, or skip_first=False",
            )

    @property
    def all_pairs(self) -> tuple[tuple[View, View], ...]:
        return tuple(
            (i, t) for t in (self.text_a, self.text_b) for i in (self.image_a, self.image_b)
        )

    @property
    def pairs(self) -> tuple[tuple[View, View], ...]:
        """The pairs that are compared, of equal weight."""
        return self.all_pairs[1:] if self.skip_first else self.all_pairs

    @property
    def needs(self) -> frozenset[Feature]:
        return frozenset(Feature(view) for pair in self.pairs for view in pair)

    @property
    def temperatures(self) -> frozenset[Temperature]:
        return frozenset({self.temperature})

    def flops(self, shapes: Mapping[Feature, tuple[int, ...]], batch: int) -> float:
        return 2.0 * batch * shapes[Feature(self.image_b)][-1] * len(self.pairs)

    def loss(self, features: Features, layers: nn.ModuleDict) -> Tensor:
        import torch

        scale = features.scale(self.temperature)
        losses = [
            info_nce(features[Feature(i)], features[Feature(t)], scale, gather=features.gather)
            for i, t in self.pairs
        ]
        return torch.stack(losses).mean()
