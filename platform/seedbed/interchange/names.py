"""What open_clip calls the tensors of our towers: one table, read in both directions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

# How open_clip holds an image tower: its own ViT, its own ModifiedResNet, or a model of timm whose
# head projects (`timm`), or whose attention pool does (`timm_pool`).
Style = Literal["vit", "resnet", "timm", "timm_pool"]
How = Literal["same", "transposed"]

_BLOCK = {
    "norm_1": "ln_1",
    "norm_2": "ln_2",
    "attend_out": "attn.out_proj",
    "expand": "mlp.c_fc",
    "contract": "mlp.c_proj",
}
_VIT_BLOCK = {
    "norm1": "ln_1",
    "norm2": "ln_2",
    "attn.proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
_ANY = r"(weight|bias)"
_BATCH_NORM = r"(weight|bias|running_mean|running_var|num_batches_tracked)"
_TEXT = [
    (r"towers\.text\.embedding\.weight", "token_embedding.weight"),
    (r"towers\.text\.position", "positional_embedding"),
    (rf"towers\.text\.norm\.{_ANY}", r"ln_final.\1"),
    (rf"towers\.text\.blocks\.(\d+)\.attend\.{_ANY}", r"transformer.resblocks.\1.attn.in_proj_\2"),
    *(
        (rf"towers\.text\.blocks\.(\d+)\.{ours}\.{_ANY}", rf"transformer.resblocks.\1.{theirs}.\2")
        for ours, theirs in _BLOCK.items()
    ),
    (rf"projections\.text\.{_ANY}", r"text_projection.\1"),
]
_MODEL = r"towers\.image\.model"
_RESNET_BLOCK = rf"{_MODEL}\.stages\.(\d+)\.(\d+)"
_IMAGE: dict[Style, list[tuple[str, str]]] = {
    "vit": [
        (rf"{_MODEL}\.cls_token", "visual.class_embedding"),
        (rf"{_MODEL}\.pos_embed", "visual.positional_embedding"),
        (rf"{_MODEL}\.patch_embed\.proj\.weight", "visual.conv1.weight"),
        (rf"{_MODEL}\.norm_pre\.{_ANY}", r"visual.ln_pre.\1"),
        (rf"{_MODEL}\.norm\.{_ANY}", r"visual.ln_post.\1"),
        (
            rf"{_MODEL}\.blocks\.(\d+)\.attn\.qkv\.{_ANY}",
            r"visual.transformer.resblocks.\1.attn.in_proj_\2",
        ),
        (
            rf"{_MODEL}\.blocks\.(\d+)\.ls([12])\.gamma",
            r"visual.transformer.resblocks.\1.ls_\2.gamma",
        ),
        *(
            (
                rf"{_MODEL}\.blocks\.(\d+)\.{re.escape(ours)}\.{_ANY}",
                rf"visual.transformer.resblocks.\1.{theirs}.\2",
            )
            for ours, theirs in _VIT_BLOCK.items()
        ),
        (r"projections\.image\.weight", "visual.proj"),
    ],
    "resnet": [
        (rf"{_MODEL}\.stem\.conv(\d)\.conv\.weight", r"visual.conv\1.weight"),
        (rf"{_MODEL}\.stem\.conv(\d)\.bn\.{_BATCH_NORM}", r"visual.bn\1.\2"),
        (rf"{_RESNET_BLOCK}\.conv(\d)_\w+\.conv\.weight", r"visual.layer{stage}.\2.conv\3.weight"),
        (rf"{_RESNET_BLOCK}\.conv(\d)_\w+\.bn\.{_BATCH_NORM}", r"visual.layer{stage}.\2.bn\3.\4"),
        (
            rf"{_RESNET_BLOCK}\.shortcut\.conv\.conv\.weight",
            r"visual.layer{stage}.\2.downsample.0.weight",
        ),
        (
            rf"{_RESNET_BLOCK}\.shortcut\.conv\.bn\.{_BATCH_NORM}",
            r"visual.layer{stage}.\2.downsample.1.\3",
        ),
        (rf"{_MODEL}\.head\.pos_embed", "visual.attnpool.positional_embedding"),
        (rf"{_MODEL}\.head\.([qkv])\.{_ANY}", r"visual.attnpool.\1_proj.\2"),
        (rf"projections\.image\.{_ANY}", r"visual.attnpool.c_proj.\1"),
    ],
    "timm": [
        (rf"{_MODEL}\.(.+)", r"visual.trunk.\1"),
        (r"projections\.image\.weight", "visual.head.proj.weight"),
    ],
    "timm_pool": [
        (rf"{_MODEL}\.(.+)", r"visual.trunk.\1"),
        (rf"projections\.image\.{_ANY}", r"visual.trunk.head.proj.\1"),
    ],
}
# What open_clip's models have for one embedding of a whole input; a model that compares tokens
# has none of it.
GLOBAL = {
    "image": re.compile(r"visual\.(ln_post\.|proj$|attnpool\.|head\.proj\.|trunk\.(head|norm)\.)"),
    "text": re.compile(r"text_projection(\.|$)"),
}


@dataclass(frozen=True)
class Pair:
    """A tensor of ours and its name at open_clip's.

    Held alike, or "transposed": a matrix that multiplies from the other side. Leading dimensions of
    one are left out of theirs.
    """

    ours: str
    theirs: str
    how: How = "same"

    def exported(self, tensor: Tensor) -> Tensor:
        """`tensor` of ours, as open_clip holds it."""
        if self.how == "transposed":
            return tensor.T.contiguous()
        leads = self.ours.endswith(("cls_token", "pos_embed")) and "visual.trunk" not in self.theirs
        while leads and tensor.ndim > 1 and len(tensor) == 1:
            tensor = tensor[0]
        return tensor

    def imported(self, tensor: Tensor, like: Tensor) -> Tensor:
        """`tensor` of theirs as ours, which has the dimensions of `like`; its shape may differ."""
        if self.how == "transposed":
            return tensor.T
        while tensor.ndim < like.ndim:
            tensor = tensor[None]
        return tensor


def pairs(state: Mapping[str, Tensor], style: Style) -> list[Pair]:
    """The tensors of the towers and projections in `state`, a model's `state_dict`, by pairs.

    One that open_clip has no name for is left out. Terms' layers and scales are not looked at.
    """
    found = []
    for ours in state:
        theirs = _theirs(ours, style)
        if theirs:
            how: How = "transposed" if theirs == "visual.proj" else "same"
            found.append(Pair(ours, theirs, how))
    return found


def _theirs(ours: str, style: Style) -> str:
    for pattern, name in [*_IMAGE[style], *_TEXT]:
        match = re.fullmatch(pattern, ours)
        if match:
            stage = int(match[1]) + 1 if "{stage}" in name else 0
            return match.expand(name.replace("{stage}", str(stage)))
    return ""


def plain_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of open_clip in the names of its plain `CLIP` class.

    Training wraps names in `module.`, and models with a text tower of their own in `text.`.
    """
    out: dict[str, Tensor] = {}
    for name, tensor in state.items():
        name = name.removeprefix("module.")
        # `text_projection` is no part of `text.`.
        out[name.removeprefix("text.")] = tensor
    return out
