"""The model of one trial: what its objective demands, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from ablate.data.order import derive
from ablate.data.views import View
from ablate.model.gather import Gather
from ablate.model.objective import Objective
from ablate.model.term import Feature, Features
from ablate.model.towers.image import ImageTower
from ablate.model.towers.text import TextTower


class Pretrainer(nn.Module):
    """Towers, projections, temperatures and term modules of one objective.

    Each part is initialised from a seed of its own, so that the same tower starts from the same
    weights in every trial of a seed: what a study compares differs only where it says so.
    """

    def __init__(
        self,
        image: ImageTower,
        text: TextTower,
        objective: Objective,
        *,
        embed_dim: int,
        seed: int,
        precision: Literal["fp32", "bf16"] = "fp32",
    ) -> None:
        super().__init__()
        self.precision = precision
        self.objective = objective
        modalities = {view.modality for view in objective.views}
        self.towers = nn.ModuleDict()
        self.projections = nn.ModuleDict()
        with torch.random.fork_rng(devices=[]):
            if "image" in modalities:
                torch.manual_seed(_seed(seed, "image tower"))
                encoder = image.build()
                self.towers["image"] = encoder
                # No bias: CLIP's image projection is a plain matrix.
                torch.manual_seed(_seed(seed, "image projection"))
                self.projections["image"] = _projection(encoder.width, embed_dim, bias=False)
            if "text" in modalities:
                torch.manual_seed(_seed(seed, "text tower"))
                encoder_text = text.build()
                self.towers["text"] = encoder_text
                # With a bias, as in the paper's code (63,429,120 parameters at 12 layers).
                torch.manual_seed(_seed(seed, "text projection"))
                self.projections["text"] = _projection(encoder_text.width, embed_dim, bias=True)
            self.thetas = nn.ParameterDict(
                {t.name: nn.Parameter(torch.tensor(t.theta)) for t in objective.temperatures}
            )
            widths = dict.fromkeys(objective.needs, embed_dim)
            self.terms = nn.ModuleDict()
            for name, weighted in objective.present():
                torch.manual_seed(_seed(seed, f"term {name}"))
                self.terms[name] = weighted.term.build(widths)

    def embed_image(self, images: Tensor) -> Tensor:
        """uint8 [n, H, W, 3] to un-normalised embeddings [n, embed_dim]."""
        return self.projections["image"](self.towers["image"](images).pooled)

    def embed_text(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Token ids [n, L] and lengths [n] to un-normalised embeddings [n, embed_dim]."""
        return self.projections["text"](self.towers["text"](ids, lengths).pooled)

    def forward(self, batch: Mapping[str, Tensor], gather: Gather | None = None) -> Losses:
        """One batch of columns (see data.rendering.render) to its losses."""
        device = next(self.parameters()).device.type
        # The towers alone run in half precision: cosines and their softmax stay in single.
        with torch.autocast(device, torch.bfloat16, enabled=self.precision == "bf16"):
            values = {
                Feature(view): self._embed(view, batch).float() for view in self.objective.views
            }
        scales = {name: theta.exp() for name, theta in self.thetas.items()}
        features = Features(values, scales, gather or Gather())
        losses: dict[str, Tensor] = {}
        for name, weighted in self.objective.present():
            losses[name] = self.terms[name](features.only(weighted.term))
        weights = {name: weighted.weight for name, weighted in self.objective.present()}
        total = torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()
        return Losses({"loss": total} | {f"loss_{name}": v for name, v in losses.items()})

    def _embed(self, view: View, batch: Mapping[str, Tensor]) -> Tensor:
        if view.modality == "image":
            return self.embed_image(batch[view.name])
        return self.embed_text(batch[view.name], batch[view.length])

    @torch.no_grad()
    def clamp(self) -> None:
        """Hold every temperature in its bounds; called after each optimizer step."""
        for temperature in self.objective.temperatures:
            theta = self.thetas[temperature.name]
            theta.clamp_(
                torch.tensor(temperature.least).log().item(),
                torch.tensor(temperature.most).log().item(),
            )


class Losses(dict[str, Tensor]):
    """Scalars by name: `loss` is the weighted total, `loss_<term>` each term's own."""


def _seed(seed: int, part: str) -> int:
    return derive("initialise", seed, part) % 2**63


def _projection(width: int, embed_dim: int, *, bias: bool) -> nn.Linear:
    """N(0, width^-1/2), zero bias: CLIP's initialisation of both projections."""
    projection = nn.Linear(width, embed_dim, bias=bias)
    nn.init.normal_(projection.weight, std=width**-0.5)
    if bias:
        nn.init.zeros_(projection.bias)
    return projection
