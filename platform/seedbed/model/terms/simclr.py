"""Image self-supervision by contrast: SimCLR between two views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from seedbed.checks import numbers
from seedbed.data.views import IMAGE_A, IMAGE_B, View
from seedbed.model.expect import expect_two
from seedbed.model.term import Feature, Features, Term

if TYPE_CHECKING:
    from torch import Tensor, nn

    from seedbed.model.gather import Gather


def nt_xent(
    z_a: Tensor, z_b: Tensor, temperature: float = 0.1, *, gather: Gather | None = None
) -> Tensor:
    """Cross-entropy of each view with the sample's other view, against all other samples' both.

    z_a, z_b [n, D] un-normalised -> loss [], the mean over 2n anchors of 2B - 1 candidates each.
    Chen et al. 2020 (arXiv:2002.05709), eq. 1, in the form of SLIP (arXiv:2112.12750).
    """
    import torch
    import torch.nn.functional as F

    from seedbed.model.gather import Gather

    gather = gather or Gather()
    n = len(z_a)
    a, b = F.normalize(z_a, dim=-1), F.normalize(z_b, dim=-1)
    both = torch.cat([gather.rows(a), gather.rows(b)])
    # By matrix product: a broadcast of [2n, 2B, D] is D times as large. Scaled before it and
    # masked in place, so that the logits stand in memory once.
    logits = (torch.cat([a, b]) / temperature) @ both.T
    line = torch.arange(2 * n, device=a.device)
    own_a = gather.offset + line[:n]
    own_b = own_a + len(both) // 2
    logits[line, torch.cat([own_a, own_b])] = -torch.inf
    losses = F.cross_entropy(logits, torch.cat([own_b, own_a]), reduction="none")
    return gather.mean((losses[:n] + losses[n:]) / 2)


@dataclass(frozen=True)
class SimCLR(Term):
    """`nt_xent` through a head of three layers.

    Widths, temperature and the head's place, on the tower's output before the projection, are
    SLIP's (arXiv:2112.12750, sec. 4) and Sense-GVT/DeCLIP's. `norm="local"` is that code's too:
    statistics of one rank's rows, which makes the result depend on the number of ranks.
    """

    image_a: View = IMAGE_A
    image_b: View = IMAGE_B
    hidden: int = 4096
    out: int = 256
    temperature: float = 0.1
    norm: Literal["synced", "local"] = "synced"

    def __post_init__(self) -> None:
        expect_two(self, "image", self.image_a, self.image_b)
        why, mend = "cosines are divided by it", "give more than 0; SLIP's is 0.1"
        numbers(self, "temperature", above=0, why=why, mend=mend)

    @property
    def needs(self) -> frozenset[Feature]:
        return frozenset({Feature(self.image_a, "pooled"), Feature(self.image_b, "pooled")})

    def flops(self, shapes: Mapping[Feature, tuple[int, ...]], batch: int) -> float:
        width = shapes[Feature(self.image_a, "pooled")][-1]
        head = width * self.hidden + self.hidden * self.hidden + self.hidden * self.out
        return 2.0 * (2 * head + 2 * 2 * batch * self.out)

    def layers(self, widths: Mapping[Feature, int]) -> Mapping[str, nn.Module]:
        from torch import nn

        from seedbed.model.norm import BatchNorm

        width, synced = widths[Feature(self.image_a, "pooled")], self.norm == "synced"
        # No norm at the end: the released code builds one there and never runs it.
        head = nn.Sequential(
            nn.Linear(width, self.hidden),
            BatchNorm(self.hidden, synced=synced),
            nn.ReLU(),
            nn.Linear(self.hidden, self.hidden),
            BatchNorm(self.hidden, synced=synced),
            nn.ReLU(),
            nn.Linear(self.hidden, self.out),
        )
        return {"head": head}

    def loss(self, features: Features, layers: nn.ModuleDict) -> Tensor:
        with features.heads():
            z_a, z_b = (
                layers["head"](features[Feature(view, "pooled")])
                for view in (self.image_a, self.image_b)
            )
        return nt_xent(z_a.float(), z_b.float(), self.temperature, gather=features.gather)
