"""Scales: named patches of the base recipe, from a laptop to the paper. Data, not code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ablate.errors import StudyError, nearest


@dataclass(frozen=True)
class Scale:
    """What a scale changes in the base recipe, and how often it repeats each cell.

    `primary` replaces the study's first response where that one is too coarse at this size.
    """

    name: str
    about: str
    num_seeds: int
    patches: Mapping[str, Any] = field(default_factory=dict)
    primary: str | None = None


DEMO = Scale(
    name="demo",
    about="a laptop in minutes: 4,376 emoji, small towers at 32 px",
    num_seeds=3,
    primary="zeroshot/top1_of_100",
    patches={
        "corpus.uri": "demo:emoji",
        # timm's smallest residual network, 0.2 M parameters: at this size and budget a small
        # ViT of equal cost learns next to nothing.
        "image.name": "test_byobnet",
        "image.size": 32,
        "text.width": 64,
        "text.heads": 2,
        "text.context": 16,
        "embed_dim": 128,
        "optimizer.lr": 2e-3,
        "budget.samples": 120 * 256,
        "budget.warmup_samples": 10 * 256,
        "budget.batch": 256,
    },
)

SMOKE = Scale(
    name="smoke",
    about="seconds a trial: to see that a machine or a cluster works, not to learn anything",
    num_seeds=2,
    primary="zeroshot/top1_of_100",
    patches={
        **DEMO.patches,
        "text.width": 32,
        "embed_dim": 32,
        "budget.samples": 12 * 64,
        "budget.warmup_samples": 2 * 64,
        "budget.batch": 64,
    },
)

SMALL = Scale(
    name="small",
    about="one GPU in hours: ViT-S/16 at 112 px",
    num_seeds=3,
    patches={
        "image.name": "vit_small_patch16_224",
        "image.size": 112,
        "text.width": 256,
        "text.heads": 4,
        "text.context": 32,
        "embed_dim": 256,
        "budget.samples": 4_000 * 512,
        "budget.warmup_samples": 400 * 512,
        "budget.batch": 512,
    },
)

PAPER = Scale(
    name="paper",
    about="the paper's: ViT-B/32 at 224 px, batch 4,096, 524 M samples",
    num_seeds=3,
)

SCALES = {scale.name: scale for scale in (SMOKE, DEMO, SMALL, PAPER)}


def scale_named(name: str) -> Scale:
    """The scale `name`. Raises StudyError with the nearest name."""
    if name not in SCALES:
        raise StudyError(
            f"there is no scale '{name}'",
            why="--scale and ABLATE_SCALE name one of the known scales",
            mend=nearest(name, SCALES),
        )
    return SCALES[name]
