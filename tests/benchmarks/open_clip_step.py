"""A step of open_clip's own CLIP at a recipe's sizes, to measure ours beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import timm
import torch
from torch import Tensor

from seedbed.recipe.recipe import Recipe

RESNETS = {  # open_clip's RN50, and what is next to `modified_resnet_small`
    "resnet50_clip": {"layers": [3, 4, 6, 3], "width": 64},
    "modified_resnet_small": {"layers": [1, 1, 1, 1], "width": 16},
}


def open_clip_model(recipe: Recipe) -> Any:
    """open_clip's CLIP at the recipe's sizes. Raises ImportError without open_clip."""
    import open_clip

    return open_clip.model.CLIP(
        embed_dim=recipe.embed_dim,
        vision_cfg={
            "image_size": recipe.image.size,
            **(RESNETS.get(recipe.image.name) or _transformer(recipe)),
        },
        text_cfg={
            "context_length": recipe.text.context,
            "vocab_size": recipe.text.vocabulary,
            "width": recipe.text.width,
            "heads": recipe.text.heads,
            "layers": recipe.text.layers,
        },
        quick_gelu=True,
    )


def _transformer(recipe: Recipe) -> dict[str, int]:
    """The sizes of a vision transformer, read off timm's own, in open_clip's names."""
    with torch.device("meta"):
        ours: Any = timm.create_model(recipe.image.name, **dict(recipe.image.options))
    return {
        "layers": len(ours.blocks),
        "width": ours.embed_dim,
        "head_width": ours.embed_dim // ours.blocks[0].attn.num_heads,
        "patch_size": ours.patch_embed.patch_size[0],
    }


def open_clip_step(
    recipe: Recipe, device: torch.device, *, backend: str = ""
) -> Callable[[Mapping[str, Tensor]], None]:
    """open_clip's model and loss, in its way with precisions, and the same optimizer settings.

    Its towers are compiled by `backend`, where one is named. Raises ImportError without open_clip.
    """
    import open_clip

    model = open_clip_model(recipe).to(device)
    if backend:
        model.compile(backend=backend)
    loss = open_clip.loss.ClipLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    mean, std = (
        255 * torch.tensor(values, device=device).view(3, 1, 1)
        for values in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
    )

    def step(batch: Mapping[str, Tensor]) -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
            images = (batch["image"].permute(0, 3, 1, 2).float() - mean) / std
            image, text, scale = model(images, batch["text"].long())[:3]
            loss(image, text, scale).backward()
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, 4.6052)

    return step
