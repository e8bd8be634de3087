"""Scales: named patches of the base recipe, from a laptop to the paper. Data, not code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seedbed.errors import StudyError, nearest


@dataclass(frozen=True)
class Scale:
    """Patches of the fields that a study does not set, and how often each cell is repeated.

    `patches` are fields of the base recipe. `terms` shrinks the terms' own heads and queues, by
    the term's class: `{"SimCLR": {"hidden": 256}}`. `towers` has a small sibling for a tower of
    the paper, by timm's name: its `image.name` or `image.options`. So a study is written in the
    paper's terms, and means the same question at every scale; `seedbed.recipe.resolve` has the
    order of precedence.
    """

    name: str
    about: str
    num_seeds: int
    patches: Mapping[str, Any] = field(default_factory=dict)
    terms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    towers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


# In proportion to towers of an eighth of the paper's widths; the queue holds several batches, as
# the paper's 65,536 hold 16 of 4,096.
_SMALL_TERMS: dict[str, dict[str, Any]] = {
    "SimCLR": {"hidden": 256, "out": 64},
    "SimSiam": {"hidden": 128, "out": 128, "bottleneck": 64},
    "LateInteraction": {"dim": 64},
    "NearestText": {"size": 2048},
}
_SMALL_TOWERS: dict[str, dict[str, Any]] = {
    "vit_base_patch32_clip_quickgelu_224": {
        "image.options": {"patch_size": 8, "embed_dim": 96, "depth": 4, "num_heads": 3},
    },
    "resnet50_clip": {"image.name": "modified_resnet_small"},
}

DEMO = Scale(
    name="demo",
    about="a laptop in minutes: 4,376 emoji, small towers at 32 px",
    num_seeds=3,
    patches={
        "corpus.uri": "demo:emoji",
        "image.size": 32,
        "text.layers": 3,
        "text.width": 64,
        "text.heads": 2,
        "text.context": 12,
        "embed_dim": 128,
        "optimizer.lr": 2e-3,
        "budget.samples": 160 * 64,
        "budget.warmup_samples": 10 * 64,
        "budget.batch": 64,
    },
    terms=_SMALL_TERMS,
    towers=_SMALL_TOWERS,
)

SMOKE = Scale(
    name="smoke",
    about="seconds a trial: to see that a machine or a cluster works, not to learn anything",
    num_seeds=2,
    patches={
        **DEMO.patches,
        "text.width": 32,
        "embed_dim": 32,
        "budget.samples": 12 * 64,
        "budget.warmup_samples": 2 * 64,
        "budget.batch": 64,
    },
    terms=_SMALL_TERMS,
    towers=_SMALL_TOWERS,
)

SMALL = Scale(
    name="small",
    about="one GPU in hours: ViT-S/16 or ResNet-50 at 128 px",
    num_seeds=3,
    patches={
        "image.size": 128,  # a ResNet halves its map five times
        "text.width": 256,
        "text.heads": 4,
        "text.context": 32,
        "embed_dim": 256,
        "budget.samples": 4_000 * 512,
        "budget.warmup_samples": 400 * 512,
        "budget.batch": 512,
    },
    terms={"SimCLR": {"hidden": 1024, "out": 128}, "NearestText": {"size": 8192}},
    towers={
        "vit_base_patch32_clip_quickgelu_224": {
            "image.options": {"patch_size": 16, "embed_dim": 384, "num_heads": 6},
        },
    },
)

PAPER = Scale(
    name="paper",
    about="the paper's: ViT-B/32 at 224 px, batch 4,096, 524 M samples",
    num_seeds=3,
    patches={
        "corpus.lanes": 64,  # as many GPUs as it may have
        # Rendered rows of whole windows wait in Ray's store, twice 2,048 of each task at 8 workers.
        # A node of 8 GPUs and 96 cores so holds up to 57 GB where there is one view of the
        # pictures, and 166 GB with SLIP's three. At 1,024 rows these would be 221 and 655 GB, and a
        # store has 30 % of the memory, and 200 GB at most. A batch still has rows of 256 blocks (of
        # 1,024 there) from all over the corpus.
        "corpus.window_rows": 256,
    },
)

SCALES = {scale.name: scale for scale in (SMOKE, DEMO, SMALL, PAPER)}


def scale_named(name: str) -> Scale:
    """The scale `name`. Raises StudyError with the nearest name."""
    if name not in SCALES:
        raise StudyError(
            f"there is no scale '{name}'",
            why="--scale and SEEDBED_SCALE name one of the known scales",
            mend=nearest(name, SCALES),
        )
    return SCALES[name]
