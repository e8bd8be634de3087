"""The model of one trial: the parts that its objective needs, and no others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from seedbed.data.order import derive
from seedbed.data.views import Modality, View
from seedbed.errors import StudyError
from seedbed.model.gather import Gather
from seedbed.model.objective import Objective
from seedbed.model.projection import projection
from seedbed.model.similarity import Similarity
from seedbed.model.term import LEARNED, Feature, Features
from seedbed.model.term_module import TermModule
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower
from seedbed.model.towers.timm_encoder import ImageEncoder
from seedbed.model.towers.transformer import TextEncoder

Batch = Mapping[str, Tensor]


class Pretrainer(nn.Module):
    """Towers, projections, temperatures and term modules of one objective.

    Each part is initialised from a seed of its own, so that the same tower starts from the same
    weights in every trial of a seed: what a study compares differs only where it says so.

    `micro_batch` rows go through the towers at a time, their activations recomputed in the backward
    pass (GradCache, Gao et al. 2021, arXiv:2101.06983): the losses still see the whole batch, with
    all its negatives. 0 is the whole batch at once.

    The towers in `freeze`, with their projections, are not trained: they have no gradient.
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
        micro_batch: int = 0,
        freeze: Sequence[Modality] = (),
    ) -> None:
        super().__init__()
        self.precision, self.micro_batch = precision, micro_batch
        self._compiled = False
        self.objective = objective
        self._demand: dict[View, set[str]] = {}
        for need in objective.needs:
            self._demand.setdefault(need.view, set()).add(need.kind)
        self.towers = nn.ModuleDict()
        self.projections = nn.ModuleDict()
        with torch.random.fork_rng(devices=[]):
            if self._kinds("image"):
                self._build_image(image, embed_dim, seed)
            if self._kinds("text"):
                self._build_text(text, embed_dim, seed)
            self.thetas = nn.ParameterDict(
                {t.name: nn.Parameter(torch.tensor(t.theta)) for t in objective.temperatures}
            )
            widths = {need: self._width(need, embed_dim) for need in objective.needs}
            self.terms = nn.ModuleDict()
            for name, weighted in objective.present():
                torch.manual_seed(_seed(seed, f"term {name}"))
                self.terms[name] = weighted.term.build(widths)
        if micro_batch:
            self._check_micro_batch(image)
        self.frozen = tuple(m for m in freeze if m in self.towers)
        for part in self._frozen_parts():
            part.requires_grad_(False).eval()

    def _frozen_parts(self) -> list[nn.Module]:
        parts = (self.towers, self.projections)
        return [part[m] for m in self.frozen for part in parts if m in part]

    def train(self, mode: bool = True) -> Self:
        """Frozen towers stay in evaluation, so that the running statistics of norms stay too."""
        super().train(mode)
        for part in self._frozen_parts():
            part.eval()
        return self

    def _kinds(self, modality: Modality) -> set[str]:
        return {k for v, kinds in self._demand.items() if v.modality == modality for k in kinds}

    def _build_image(self, tower: ImageTower, embed_dim: int, seed: int) -> None:
        kinds = self._kinds("image")
        torch.manual_seed(_seed(seed, "image tower"))
        encoder = tower.build(pooled=bool(kinds & {"embed", "pooled"}), tokens="tokens" in kinds)
        self.towers["image"] = encoder
        if "embed" in kinds:
            torch.manual_seed(_seed(seed, "image projection"))
            self.projections["image"] = projection(
                encoder.width, embed_dim, bias=encoder.projection_bias
            )

    def _build_text(self, tower: TextTower, embed_dim: int, seed: int) -> None:
        torch.manual_seed(_seed(seed, "text tower"))
        encoder = tower.build()
        self.towers["text"] = encoder
        if "embed" in self._kinds("text"):
            # With a bias, as in the paper's code (63,429,120 parameters at 12 layers).
            torch.manual_seed(_seed(seed, "text projection"))
            self.projections["text"] = projection(encoder.width, embed_dim, bias=True)

    def _width(self, need: Feature, embed_dim: int) -> int:
        if need.kind not in LEARNED:
            return 0
        if need.kind == "embed":
            return embed_dim
        tower = self.towers[need.view.modality]
        if isinstance(tower, ImageEncoder) and need.kind == "tokens":
            return tower.token_width
        assert isinstance(tower, (ImageEncoder, TextEncoder))
        return tower.width

    def _check_micro_batch(self, image: ImageTower) -> None:
        for module in self.towers.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                raise StudyError(
                    f"micro_batch is {self.micro_batch}, and '{image.name}' has batch norms",
                    why="they would average a micro-batch instead of the batch, which is "
                    "another model",
                    mend="set micro_batch=0, or choose a tower without batch norms",
                )

    def embed_image(self, images: Tensor) -> Tensor:
        """uint8 [n, H, W, 3] to un-normalised embeddings [n, embed_dim]."""
        embedding: Tensor = self.projections["image"](self.towers["image"](images).pooled)
        return embedding

    def embed_text(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Token ids [n, L] and lengths [n] to un-normalised embeddings [n, embed_dim]."""
        self._mark_length(ids)
        embedding: Tensor = self.projections["text"](self.towers["text"](ids, lengths).pooled)
        return embedding

    def similarity(self) -> Similarity | None:
        """How it compares pictures with captions; None where no term has aligned them."""
        aligning = self.objective.aligning()
        if aligning is None:
            return None
        module = self.terms[aligning[0]]
        assert isinstance(module, TermModule)
        return module.similarity(self)

    def forward(self, batch: Batch, gather: Gather | None = None) -> Losses:
        """One batch of columns (see data/render/render.py) to its losses."""
        half = next(self.parameters()).device.type if self.precision == "bf16" else None
        scales = {t.name: self._scale(t.name, t.cap) for t in self.objective.temperatures}
        features = Features(self._features(batch, half), scales, gather or Gather(), half)
        losses: dict[str, Tensor] = {}
        for name, weighted in self.objective.present():
            losses[name] = self.terms[name](features.only(weighted.term))
        weights = {name: weighted.weight for name, weighted in self.objective.present()}
        total = torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()
        return Losses({"loss": total} | {f"loss_{name}": v for name, v in losses.items()})

    def _scale(self, name: str, cap: float | None) -> Tensor:
        scale = self.thetas[name].exp()
        if cap is None:
            return scale
        return scale + (scale.clamp(max=cap) - scale).detach()

    def _features(self, batch: Batch, half: str | None) -> dict[Feature, Tensor]:
        values: dict[Feature, Tensor] = {}
        for view in self.objective.views:
            kinds = self._demand[view]
            columns = _columns(view, batch)
            values |= self._in_parts(view, columns, half)
            if "mask" in kinds:
                ids, lengths = columns
                places = torch.arange(ids.shape[1], device=ids.device)
                values[Feature(view, "mask")] = places < lengths[:, None]
            if "targets" in kinds:
                values[Feature(view, "targets")] = batch[view.target]
        return values

    def _in_parts(
        self, view: View, columns: tuple[Tensor, ...], half: str | None
    ) -> dict[Feature, Tensor]:
        num_rows = len(columns[0])
        if not self.micro_batch or num_rows <= self.micro_batch:
            return self.encode(view, columns, half)
        parts: list[dict[Feature, Tensor]] = []
        for first in range(0, num_rows, self.micro_batch):
            rows = tuple(column[first : first + self.micro_batch] for column in columns)
            if torch.is_grad_enabled():
                part = checkpoint(self.encode, view, rows, half, use_reentrant=False)
            else:
                part = self.encode(view, rows, half)
            parts.append(part)
        return {feature: torch.cat([part[feature] for part in parts]) for feature in parts[0]}

    def encode(
        self, view: View, columns: tuple[Tensor, ...], half: str | None = None
    ) -> dict[Feature, Tensor]:
        """The features that the objective reads of `view` and a tower computes, in fp32.

        `columns` are the pictures uint8 [n, H, W, 3], or token ids [n, L] and lengths [n].
        """
        kinds = self._demand[view] & LEARNED
        tower = self.towers[view.modality]
        if view.modality == "text":
            self._mark_length(columns[0])
        out: dict[Feature, Tensor] = {}
        # Towers and projections alone run in half precision; losses stay in single.
        with torch.autocast(half or "cpu", torch.bfloat16, enabled=half is not None):
            if kinds != {"context"}:
                encoded = tower(*columns)
                if "pooled" in kinds:
                    out[Feature(view, "pooled")] = encoded.pooled
                if "tokens" in kinds:
                    out[Feature(view, "tokens")] = encoded.tokens
                if "embed" in kinds:
                    out[Feature(view)] = self.projections[view.modality](encoded.pooled)
            if "context" in kinds:
                out[Feature(view, "context")] = tower(*columns, both_ways=True).tokens
        return {feature: value.float() for feature, value in out.items()}

    def compile_towers(self, backend: str = "inductor") -> None:
        """Compile the towers with torch.compile; their parameters keep their names."""
        self._compiled = True
        for tower in self.towers.values():
            tower.compile(backend=backend)

    def _mark_length(self, ids: Tensor) -> None:
        """One graph for captions [n, L] of every L, to which a batch is cut."""
        if self._compiled:
            from torch._dynamo import maybe_mark_dynamic

            maybe_mark_dynamic(ids, 1)

    @torch.no_grad()
    def clamp(self) -> None:
        """Hold every temperature in its bounds; called after each optimizer step."""
        for temperature in self.objective.temperatures:
            theta = self.thetas[temperature.name]
            theta.clamp_(math.log(temperature.least), math.log(temperature.most))


class Losses(dict[str, Tensor]):
    """Scalars by name: `loss` is the weighted total, `loss_<term>` each term's own."""


def _columns(view: View, batch: Batch) -> tuple[Tensor, ...]:
    if view.modality == "image":
        return (batch[view.name],)
    return batch[view.name], batch[view.length]


def _seed(seed: int, part: str) -> int:
    return derive("initialise", seed, part) % 2**63
