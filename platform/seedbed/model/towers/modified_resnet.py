"""CLIP's ModifiedResNet at laptop size, registered with timm.

timm's `resnet50_clip` is the one of the paper. This one keeps what makes it CLIP's (three
convolutions for a stem, average pooling before strided convolutions and shortcuts, attention
pooling) at an eighth of the width and one block a stage, and leaves out the stem's own pooling
and the last stage, so that a picture of 32 px still has 4 x 4 positions to attend to.
"""

from __future__ import annotations

from typing import Any

from timm.models import register_model
from timm.models.byobnet import ByoBlockCfg, ByobNet, ByoModelCfg

SMALL_SIZE = 32  # px that it is made for where nothing else is said, as by open_clip
_SMALL = ByoModelCfg(
    blocks=(
        ByoBlockCfg(type="bottle", d=1, c=64, s=1, br=0.25),
        ByoBlockCfg(type="bottle", d=1, c=128, s=2, br=0.25),
        ByoBlockCfg(type="bottle", d=1, c=256, s=2, br=0.25),
    ),
    stem_chs=(16, 16, 32),
    stem_type="",
    stem_pool="",
    downsample="avg",
    aa_layer="avg",
    head_type="attn_abs",
)


@register_model
def modified_resnet_small(pretrained: bool = False, **options: Any) -> ByobNet:
    """The small ModifiedResNet, untrained."""
    if pretrained:
        raise ValueError("modified_resnet_small has no pretrained weights")
    for key in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"):
        options.pop(key, None)
    return ByobNet(_SMALL, **{"img_size": SMALL_SIZE} | options)
