"""The image tower's description: any vision model of timm, by its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from seedbed.checks import UNSAID, choice, counts, switches
from seedbed.errors import StudyError

if TYPE_CHECKING:
    from seedbed.model.towers.timm_encoder import ImageEncoder


@dataclass(frozen=True)
class ImageTower:
    """A timm model without its classifier.

    `name` is timm's: `vit_base_patch32_clip_quickgelu_224` and `resnet50_clip` are CLIP's own two.
    `size` is the side of the input in pixels; `options` go to timm as they are (`{"depth": 4}`),
    where it takes them. `freeze_patch_embed` keeps the patch embedding at its initialisation (MoCo
    v3, Chen et al. 2021, arXiv:2104.02057, sec. 4.2). The paper's code does so in every ViT run, as
    a side effect of switching a module's mode; its author saw no significant gain
    (Sense-GVT/DeCLIP#9), so the default trains the whole tower. `init` is timm's initialisation, or
    that code's (see `draw_as_released`); with the latter `freeze_patch_embed` is ignored for a
    tower without a patch embedding, not refused. `norm` says over whose rows a batch norm averages:
    "local" is the paper's code with CLIP's ResNet, where the result depends on the number of ranks.
    `pixels` says whose mean and standard deviation normalise a picture: ImageNet's, as in the
    paper's code, or CLIP's, which the models of OpenAI and open_clip were trained with.
    """

    name: str = "vit_base_patch32_clip_quickgelu_224"
    size: int = 224
    options: tuple[tuple[str, Any], ...] = ()
    freeze_patch_embed: bool = False
    norm: Literal["synced", "local"] = "synced"
    init: Literal["timm", "released"] = "timm"
    pixels: Literal["imagenet", "clip"] = field(default="imagenet", metadata=UNSAID)

    def __post_init__(self) -> None:
        if isinstance(self.options, Mapping):
            pairs = ((k, tuple(v) if isinstance(v, list) else v) for k, v in self.options.items())
            object.__setattr__(self, "options", tuple(sorted(pairs)))
        counts(self, "size", why="it is the side of the input in pixels", mend="give 224")
        switches(self, "freeze_patch_embed")
        why = "a batch norm averages the rows of all ranks, or of its own"
        choice(self, "norm", ("synced", "local"), why=why)
        why = "a tower starts as timm draws it, or as the paper's code does"
        choice(self, "init", ("timm", "released"), why=why)
        why = "a picture is normalised by one of the known means"
        choice(self, "pixels", ("imagenet", "clip"), why=why)

    def build(self, *, pooled: bool = True, tokens: bool = False) -> ImageEncoder:
        """The encoder of the outputs asked for, initialised from torch's generator.

        Layers that only other outputs need are left out, so that every parameter gets a gradient.
        Raises StudyError when timm does not know the name, refuses the options, or gives no tokens.
        """
        from seedbed.model.norm import sync_tower
        from seedbed.model.towers.released import draw_as_released
        from seedbed.model.towers.timm_encoder import ImageEncoder, timm_model

        model = timm_model(self.name, self.size, self.options)
        if self.init == "released":
            draw_as_released(model, self.name)
        if tokens and not hasattr(model, "forward_intermediates"):
            raise StudyError(
                f"timm gives no tokens of '{self.name}'",
                why="the model has no forward_intermediates, and a term reads its tokens",
                mend="choose another image tower, or leave out the term",
            )
        if not pooled:
            model.prune_intermediate_layers(1, prune_norm=True, prune_head=True)
        if self.freeze_patch_embed:
            self._freeze(model)
        if self.norm == "synced":
            sync_tower(model)
        return ImageEncoder(model, pooled=pooled, tokens=tokens, pixels=self.pixels)

    def _freeze(self, model: Any) -> None:
        if not hasattr(model, "patch_embed"):
            if self.init == "released":
                return
            raise StudyError(
                f"image.freeze_patch_embed is on, and '{self.name}' has no patch embedding",
                why="only vision transformers cut their input into patches",
                mend="set it in the level of the ViT alone: "
                '{"vit": {"image.name": ..., "image.freeze_patch_embed": True}, ...}',
            )
        model.patch_embed.requires_grad_(False)
