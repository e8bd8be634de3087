"""Image self-supervision without negatives: SimSiam between two views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from seedbed.data.views import IMAGE_A, IMAGE_B, View
from seedbed.errors import StudyError
from seedbed.model.gather import Gather
from seedbed.model.norm import BatchNorm
from seedbed.model.term import Feature, Features, Term, TermModule, expect


def simsiam_loss(
    p_a: Tensor, z_a: Tensor, p_b: Tensor, z_b: Tensor, *, gather: Gather | None = None
) -> Tensor:
    """Negative cosine of each view's prediction to the other's projection, which gets no gradient.

    All [n, D] un-normalised -> loss [], from -1 to 1. Chen and He 2021 (arXiv:2011.10566), eq. 2.
    """
    a = F.cosine_similarity(p_a, z_b.detach(), dim=-1)
    b = F.cosine_similarity(p_b, z_a.detach(), dim=-1)
    return (gather or Gather()).mean(-(a + b) / 2)


@dataclass(frozen=True)
class SimSiam(Term):
    """`simsiam_loss` through a projector of three layers and a predictor of two.

    Widths are those of Sense-GVT/DeCLIP. It reads the image embedding, un-normalised, as that
    code does, so that the gradient passes the image projection too; `reads="pooled"` is
    SimSiam's own choice, the backbone's output. `norm="local"` is that code's too: statistics
    of one rank's rows, which makes the result depend on the number of ranks.
    """

    image_a: View = IMAGE_A
    image_b: View = IMAGE_B
    reads: Literal["embed", "pooled"] = "embed"
    hidden: int = 1024
    out: int = 1024
    bottleneck: int = 512
    norm: Literal["synced", "local"] = "synced"

    def __post_init__(self) -> None:
        expect(self, "image", self.image_a, self.image_b)
        if self.image_a == self.image_b:
            raise StudyError(
                f"SimSiam compares {self.image_a.name} with itself",
                why="two equal views have nothing to teach each other",
                mend="give it two views, like IMAGE_A and IMAGE_B",
            )

    @property
    def needs(self) -> frozenset[Feature]:
        return frozenset({Feature(self.image_a, self.reads), Feature(self.image_b, self.reads)})

    def flops(self, shapes: Mapping[Feature, tuple[int, ...]], batch: int) -> float:
        width = shapes[Feature(self.image_a, self.reads)][-1]
        projector = width * self.hidden + self.hidden * self.hidden + self.hidden * self.out
        return 2.0 * 2 * (projector + 2 * self.out * self.bottleneck)

    def build(self, widths: Mapping[Feature, int]) -> TermModule:
        return _SimSiamModule(self, widths[Feature(self.image_a, self.reads)])


class _SimSiamModule(TermModule):
    def __init__(self, term: SimSiam, width: int) -> None:
        super().__init__()
        self.term = term
        synced = term.norm == "synced"
        # A bias before a norm changes nothing; that code has them, and its counts are kept.
        self.projector = nn.Sequential(
            nn.Linear(width, term.hidden),
            BatchNorm(term.hidden, synced=synced),
            nn.ReLU(),
            nn.Linear(term.hidden, term.hidden),
            BatchNorm(term.hidden, synced=synced),
            nn.ReLU(),
            nn.Linear(term.hidden, term.out),
            BatchNorm(term.out, synced=synced),
        )
        self.predictor = nn.Sequential(
            nn.Linear(term.out, term.bottleneck),
            BatchNorm(term.bottleneck, synced=synced),
            nn.ReLU(),
            nn.Linear(term.bottleneck, term.out),
        )

    def forward(self, features: Features) -> Tensor:
        with features.heads():
            z_a, z_b = (
                self.projector(features[Feature(view, self.term.reads)])
                for view in (self.term.image_a, self.term.image_b)
            )
            p_a, p_b = self.predictor(z_a), self.predictor(z_b)
        return simsiam_loss(
            p_a.float(), z_a.float(), p_b.float(), z_b.float(), gather=features.gather
        )
