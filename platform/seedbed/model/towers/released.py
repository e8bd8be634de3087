"""The paper's code's initialisation of image towers (Sense-GVT/DeCLIP at 5d99a85)."""

from __future__ import annotations

from typing import Any

from torch import nn

from seedbed.errors import StudyError


def draw_as_released(model: nn.Module, name: str) -> None:
    """Reinitialise a timm model from torch's generator, as the released code does.

    A ViT as CLIP's: the standard deviations of class token, positions and blocks follow from width
    and depth, where timm uses 0.02 for all. A ModifiedResNet keeps its layers' own initialisation,
    where timm scales convolutions by their outputs, except for the attention pool's weights and the
    last scale of each block. Raises StudyError for other models.
    """
    if hasattr(model, "blocks") and hasattr(model, "cls_token"):
        _draw_vit(model)
    elif "AttentionPool" in type(getattr(model, "head", None)).__name__:
        _draw_modified_resnet(model)
    else:
        raise StudyError(
            f"image.init is 'released', and the tower is '{name}'",
            why="the paper's code has CLIP's ViT and ModifiedResNet only",
            mend="set image.init to 'timm' for it",
        )


def _draw_vit(model: Any) -> None:
    width, depth = int(model.embed_dim), len(model.blocks)
    narrow, wide = width**-0.5, (2 * width) ** -0.5
    deep = narrow * (2 * depth) ** -0.5
    nn.init.normal_(model.cls_token, std=narrow)
    nn.init.normal_(model.pos_embed, std=0.01)
    model.patch_embed.proj.reset_parameters()
    for block in model.blocks:
        for linear, std in (
            (block.attn.qkv, narrow),
            (block.attn.proj, deep),
            (block.mlp.fc1, wide),
            (block.mlp.fc2, deep),
        ):
            linear.reset_parameters()  # the MLP's biases keep this initialisation
            nn.init.normal_(linear.weight, std=std)
        nn.init.zeros_(block.attn.qkv.bias)
        nn.init.zeros_(block.attn.proj.bias)


def _draw_modified_resnet(model: Any) -> None:
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.reset_parameters()
    pool = model.head
    for linear in (pool.q, pool.k, pool.v):
        nn.init.normal_(linear.weight, std=linear.in_features**-0.5)
