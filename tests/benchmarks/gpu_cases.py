"""What is measured on a GPU: the cases, their batches, and what the cards can do at most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seedbed.data.render.render import Columns
from seedbed.data.views import IMAGE, IMAGE_A, IMAGE_B, TEXT, TEXT_AUG, TEXT_MASKED
from seedbed.model.terms.masked_lm import IGNORED
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.resolve import Said, resolve
from seedbed.recipe.scale import SCALES
from seedbed.variants import UNIFIED

TOWERS: dict[str, dict[str, Any]] = {
    "vit": {"image.name": "vit_base_patch32_clip_quickgelu_224"},
    # The paper's: CLIP's ResNet-50 has an embedding of its own width.
    "resnet": {"image.name": "resnet50_clip", "embed_dim": 1024},
    # Not the paper's: public runs state their utilisation on it. Of CLIP alone.
    "vit16": {"image.name": "vit_base_patch16_clip_quickgelu_224"},
}
# Rows that 80 GB hold for most variants at 224 px; for the others they are halved.
BATCH = {"vit": 512, "resnet": 128, "vit16": 256}
# TFLOP/s without sparsity, (bf16, TF32), from NVIDIA's data sheets of each card, whose figures are
# with sparsity from Hopper on, twice these. The longest name that a card's own begins with counts.
PEAKS = {
    "NVIDIA A100": (312.0, 156.0),  # A100 80GB datasheet, June 2021
    "NVIDIA H100": (989.4, 494.7),  # H100 datasheet, SXM5
    "NVIDIA H100 PCIe": (756.0, 378.0),  # H100 datasheet, first edition
    "NVIDIA H100 NVL": (835.5, 417.5),  # H100 datasheet
    "NVIDIA H200": (989.4, 494.7),  # H200 datasheet, SXM
    "NVIDIA L4": (121.0, 60.0),  # L4 datasheet
    "NVIDIA L40S": (362.05, 183.0),  # L40S datasheet
}


def peak_tflops(card: str, precision: str) -> float | None:
    """The card's dense peak; None where it is not known by name."""
    known = [n for n in PEAKS if card == n or card.startswith((f"{n} ", f"{n}-"))]
    return PEAKS[max(known, key=len)][precision == "fp32"] if known else None


@dataclass(frozen=True)
class Case:
    """What is measured: both of its inputs, resident and fed, in one go."""

    library: str
    variant: str
    tower: str
    precision: str
    compiled: bool

    def recipe(self, scale: str, batch: int) -> Recipe:
        # Scales have small towers of the paper's two kinds.
        tower = "vit" if self.tower == "vit16" and scale != "paper" else self.tower
        patches = UNIFIED[self.variant] | TOWERS[tower] | {"precision": self.precision}
        base = Recipe.paper(objective=patches.pop("objective"))
        budget = {"budget.samples": batch * 10**6, "budget.warmup_samples": 0}
        if scale != "paper":  # its own towers and widths, small ones
            patches.pop("embed_dim", None)
        said = patches | budget | {"budget.batch": batch}
        return resolve(base, SCALES[scale], [Said("the benchmark", said)])


def cases(wanted: Sequence[str], precisions: Sequence[str]) -> list[Case]:
    """Of the variants `wanted`, in the order of what is most asked for: bf16 first, and compiled
    ones after the eager."""
    variants = [("seedbed", name) for name in UNIFIED if name in wanted] + [("open_clip", "clip")]
    order = [
        (("bf16", False), ("vit", "resnet", "vit16")),
        (("bf16", True), ("vit", "vit16")),
        (("fp32", False), ("vit", "resnet")),
        (("bf16", True), ("resnet",)),
        (("fp32", True), ("vit", "resnet")),
    ]
    return [
        Case(library, variant, tower, precision, compiled)
        for (precision, compiled), towers in order
        if precision in precisions
        for tower in towers
        for library, variant in variants
        if tower != "vit16" or variant == "clip"
    ]


def columns_of(recipe: Recipe, rows: int, seed: int) -> Columns:
    """Random pictures and captions of all lengths, one of them the longest, a sixth masked."""
    rng = np.random.default_rng(seed)
    size, context = recipe.image.size, recipe.text.context
    out: Columns = {"id": np.arange(rows), "fault": np.full(rows, "", object)}
    for view in {IMAGE, IMAGE_A, IMAGE_B} & set(recipe.objective.views):
        out[view.name] = rng.integers(0, 256, (rows, size, size, 3), dtype=np.uint8)
    for view in {TEXT, TEXT_AUG, TEXT_MASKED} & set(recipe.objective.views):
        lengths = rng.integers(4, context + 1, rows, dtype=np.int32)
        lengths[0] = context
        out[view.length] = lengths
        out[view.name] = rng.integers(0, 49_000, (rows, context), dtype=np.int32)
        masked = (rng.random((rows, context)) < 0.15) & (np.arange(context) < lengths[:, None])
        if view == TEXT_MASKED:
            out[view.target] = np.where(masked, out[view.name], IGNORED).astype(np.int32)
    return out
