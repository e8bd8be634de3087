"""Image towers: any vision model of timm, by its name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ablate.errors import StudyError
from ablate.model.towers.encoded import Encoded

# ImageNet's mean and standard deviation, as in the paper's code (not CLIP's own constants).
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ImageTower:
    """A timm model without its classifier.

    `name` is timm's (`vit_base_patch32_clip_quickgelu_224` is CLIP's ViT-B/32); `size` the side
    of the input in pixels; `options` go to timm as they are (`{"depth": 4}`), where it takes
    them.
    """

    name: str = "vit_base_patch32_clip_quickgelu_224"
    size: int = 224
    options: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.options, Mapping):
            pairs = ((k, tuple(v) if isinstance(v, list) else v) for k, v in self.options.items())
            object.__setattr__(self, "options", tuple(sorted(pairs)))

    def build(self) -> ImageEncoder:
        """The encoder, with timm's own initialisation drawn from torch's generator.

        Raises StudyError when timm does not know the name or refuses the options.
        """
        import timm  # here, not above: it costs a second, and only builders need it

        if not timm.is_model(self.name):
            close = difflib.get_close_matches(self.name, timm.list_models(), n=1)
            raise StudyError(
                f"timm has no model '{self.name}'",
                why="ImageTower.name is a timm model",
                mend=f"did you mean '{close[0]}'?" if close else "timm.list_models() lists them",
            )
        options = {k: list(v) if isinstance(v, tuple) else v for k, v in self.options}
        if "vit" in self.name.split("_") and "img_size" not in options:
            options["img_size"] = self.size
        try:
            model = timm.create_model(self.name, num_classes=0, **options)
        except (TypeError, ValueError, AssertionError, RuntimeError) as error:
            raise StudyError(
                f"timm cannot build '{self.name}' with {dict(self.options)}",
                why=str(error),
                mend="ImageTower.options are passed to timm.create_model as they are",
            ) from error
        return ImageEncoder(model)


class ImageEncoder(nn.Module):
    """uint8 images [n, H, W, 3] to `Encoded`."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.width = int(getattr(model, "head_hidden_size", None) or model.num_features)
        self.register_buffer("mean", 255 * torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(STD).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Encoded:
        pixels = (images.permute(0, 3, 1, 2).to(self.mean.dtype) - self.mean) / self.std
        maps = self.model.forward_features(pixels)
        pooled = self.model.forward_head(maps, pre_logits=True)
        tokens = maps if maps.ndim == 3 else maps.flatten(2).transpose(1, 2)
        return Encoded(pooled, tokens)
