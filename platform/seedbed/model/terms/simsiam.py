"""Image self-supervision without negatives: SimSiam between two views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from seedbed.data.views import IMAGE_A, IMAGE_B, View
from seedbed.model.expect import expect_two
from seedbed.model.term import Feature, Features, Term

if TYPE_CHECKING:
    from torch import Tensor, nn

    from seedbed.model.gather import Gather


def simsiam_loss(
    p_a: Tensor, z_a: Tensor, p_b: Tensor, z_b: Tensor, *, gather: Gather | None = None
) -> Tensor:
    """Negative cosine of each view's prediction to the other's projection, which gets no gradient.

    All [n, D] un-normalised -> loss [], from -1 to 1. Chen and He 2021 (arXiv:2011.10566), eq. 2.
    """
    import torch.nn.functional as F

    from seedbed.model.gather import Gather

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
        expect_two(self, "image", self.image_a, self.image_b)

    @property
    def needs(self) -> frozenset[Feature]:
        return frozenset({Feature(self.image_a, self.reads), Feature(self.image_b, self.reads)})

    def flops(self, shapes: Mapping[Feature, tuple[int, ...]], batch: int) -> float:
        width = shapes[Feature(self.image_a, self.reads)][-1]
        projector = width * self.hidden + self.hidden * self.hidden + self.hidden * self.out
        return 2.0 * 2 * (projector + 2 * self.out * self.bottleneck)

    def layers(self, widths: Mapping[Feature, int]) -> Mapping[str, nn.Module]:
        from torch import nn

        from seedbed.model.norm import BatchNorm

        width, synced = widths[Feature(self.image_a, self.reads)], self.norm == "synced"
        # A bias before a norm changes nothing; that code has them, and its counts are kept.
        projector = nn.Sequential(
            nn.Linear(width, self.hidden),
            BatchNorm(self.hidden, synced=synced),
            nn.ReLU(),
            nn.Linear(self.hidden, self.hidden),
            BatchNorm(self.hidden, synced=synced),
            nn.ReLU(),
            nn.Linear(self.hidden, self.out),
            BatchNorm(self.out, synced=synced),
        )
        predictor = nn.Sequential(
            nn.Linear(self.out, self.bottleneck),
            BatchNorm(self.bottleneck, synced=synced),
            nn.ReLU(),
            nn.Linear(self.bottleneck, self.out),
        )
        return {"projector": projector, "predictor": predictor}

    def loss(self, features: Features, layers: nn.ModuleDict) -> Tensor:
        with features.heads():
            z_a, z_b = (
                layers["projector"](features[Feature(view, self.reads)])
                for view in (self.image_a, self.image_b)
            )
            p_a, p_b = layers["predictor"](z_a), layers["predictor"](z_b)
        return simsiam_loss(
            p_a.float(), z_a.float(), p_b.float(), z_b.float(), gather=features.gather
        )
