"""Image towers: any vision model of timm, by its name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from seedbed.checks import choice
from seedbed.errors import StudyError
from seedbed.model.norm import sync_tower
from seedbed.model.towers.encoded import Encoded
from seedbed.model.towers.released import draw_as_released

# ImageNet's mean and standard deviation, as in the paper's code (not CLIP's own constants).
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ImageTower:
    """A timm model without its classifier.

    `name` is timm's: `vit_base_patch32_clip_quickgelu_224` and `resnet50_clip` are CLIP's own
    two. `size` is the side of the input in pixels; `options` go to timm as they are
    (`{"depth": 4}`), where it takes them. `freeze_patch_embed` leaves the patch embedding as it
    was drawn: MoCo v3's remedy (Chen et al. 2021, arXiv:2104.02057, sec. 4.2), in every ViT run
    of the paper's code and there only because a module's mode is switched; its author saw no
    significant gain (Sense-GVT/DeCLIP#9), and a ResNet has none, so that the default is to train
    all of a tower. `init` draws the start as timm does, or as that code does (see
    `draw_as_released`), which knows both kinds of tower: with it, a tower without a patch
    embedding has none to freeze, and is not refused. `norm` says whose rows a batch norm
    averages: "local" is the paper's code with CLIP's ResNet, where the result depends on the
    number of ranks.
    """

    name: str = "vit_base_patch32_clip_quickgelu_224"
    size: int = 224
    options: tuple[tuple[str, Any], ...] = ()
    freeze_patch_embed: bool = False
    norm: Literal["synced", "local"] = "synced"
    init: Literal["timm", "released"] = "timm"

    def __post_init__(self) -> None:
        if isinstance(self.options, Mapping):
            pairs = ((k, tuple(v) if isinstance(v, list) else v) for k, v in self.options.items())
            object.__setattr__(self, "options", tuple(sorted(pairs)))
        why = "a batch norm averages the rows of all ranks, or of its own"
        choice(self, "norm", ("synced", "local"), why=why)
        why = "a tower starts as timm draws it, or as the paper's code does"
        choice(self, "init", ("timm", "released"), why=why)

    def build(self, *, pooled: bool = True, tokens: bool = False) -> ImageEncoder:
        """The encoder of the outputs asked for, its start drawn from torch's generator.

        What only another output needs is left out, so that every parameter gets a gradient.
        Raises StudyError when timm does not know the name, refuses the options, or gives no
        tokens.
        """
        model = self._model()
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
        return ImageEncoder(model, pooled=pooled, tokens=tokens)

    def _model(self) -> Any:
        import timm  # here, not above: it costs a second, and only builders need it

        import seedbed.model.towers.modified_resnet  # noqa: F401  (timm learns its name)

        if not timm.is_model(self.name):
            close = difflib.get_close_matches(self.name, timm.list_models(), n=1)
            raise StudyError(
                f"timm has no model '{self.name}'",
                why="ImageTower.name is a timm model",
                mend=f"did you mean '{close[0]}'?" if close else "timm.list_models() lists them",
            )
        options = {k: list(v) if isinstance(v, tuple) else v for k, v in self.options}
        # Models with learned positions are built for a size; others know no such argument.
        for sized in ({"img_size": self.size} | options, options):
            state = torch.get_rng_state()
            try:
                return timm.create_model(self.name, num_classes=0, **sized)
            except (TypeError, ValueError, AssertionError, RuntimeError) as error:
                if "img_size" in str(error) and "img_size" not in options and sized is not options:
                    torch.set_rng_state(state)
                    continue
                raise StudyError(
                    f"timm cannot build '{self.name}' at {self.size} px with {dict(self.options)}",
                    why=str(error),
                    mend="ImageTower.options are passed to timm.create_model as they are",
                ) from error
        raise AssertionError("unreachable")

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


class ImageEncoder(nn.Module):
    """uint8 images [n, H, W, 3] to `Encoded`.

    `pooled` is the model's own pooling: a ViT's class token after the last norm, attention or
    average pooling of a ResNet. `tokens` are a ViT's patches after the last block, before the
    last norm and without the class token, as FILIP's of the paper's code; a ResNet's are the
    positions of its last map.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: Any, *, pooled: bool, tokens: bool) -> None:
        super().__init__()
        self.model = model
        self.pooled, self.tokens = pooled, tokens
        self.width = int(getattr(model, "head_hidden_size", None) or model.num_features)
        self.token_width = int(model.num_features)
        # CLIP's ResNet projects inside its attention pool, with a bias; its ViT without one.
        self.projection_bias = "AttentionPool" in type(getattr(model, "head", None)).__name__
        self.register_buffer("mean", 255 * torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(STD).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Encoded:
        pixels = (images.permute(0, 3, 1, 2).to(self.mean.dtype) - self.mean) / self.std
        if not self.tokens:
            last = self.model.forward_features(pixels)
            return Encoded(self.model.forward_head(last, pre_logits=True))
        if not self.pooled:
            (maps,) = self.model.forward_intermediates(pixels, indices=1, intermediates_only=True)
            return Encoded(None, maps.flatten(2).transpose(1, 2))
        last, (maps,) = self.model.forward_intermediates(pixels, indices=1)
        pooled = self.model.forward_head(last, pre_logits=True)
        return Encoded(pooled, maps.flatten(2).transpose(1, 2))
