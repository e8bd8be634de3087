"""What an ImageTower builds: an encoder around a timm model."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import timm
import torch
from torch import Tensor, nn

import seedbed.model.towers.modified_resnet  # noqa: F401  (timm learns its name)
from seedbed.errors import StudyError
from seedbed.model.towers.encoded import Encoded

# Means and standard deviations: ImageNet's, as in the paper's code, and CLIP's (openai/CLIP).
PIXELS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
}


def timm_model(name: str, size: int, options: Sequence[tuple[str, Any]] = ()) -> Any:
    """The timm model `name` without its classifier, for inputs of `size` pixels where it has to
    know. Raises StudyError where timm has no such model, or refuses the options."""
    if not timm.is_model(name):
        close = difflib.get_close_matches(name, timm.list_models(), n=1)
        raise StudyError(
            f"timm has no model '{name}'",
            why="ImageTower.name is a timm model",
            mend=f"did you mean '{close[0]}'?" if close else "timm.list_models() lists them",
        )
    given = {k: list(v) if isinstance(v, tuple) else v for k, v in options}
    # Models with learned positions are built for a size; others know no such argument.
    for sized in ({"img_size": size} | given, given):
        state = torch.get_rng_state()
        try:
            return timm.create_model(name, num_classes=0, **sized)
        except (TypeError, ValueError, AssertionError, RuntimeError) as error:
            if "img_size" in str(error) and "img_size" not in given and sized is not given:
                torch.set_rng_state(state)
                continue
            raise StudyError(
                f"timm cannot build '{name}' at {size} px with {dict(options)}",
                why=str(error),
                mend="ImageTower.options are passed to timm.create_model as they are",
            ) from error
    raise AssertionError("unreachable")


class ImageEncoder(nn.Module):
    """uint8 images [n, H, W, 3] to `Encoded`.

    `pooled` is the model's own pooling: a ViT's class token after the last norm, attention or
    average pooling of a ResNet. `tokens` are a ViT's patches after the last block, before the
    last norm and without the class token, as FILIP's of the paper's code; a ResNet's are the
    positions of its last map.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: Any, *, pooled: bool, tokens: bool, pixels: str = "imagenet") -> None:
        super().__init__()
        self.model = model
        self.pooled, self.tokens = pooled, tokens
        self.width = int(getattr(model, "head_hidden_size", None) or model.num_features)
        self.token_width = int(model.num_features)
        # CLIP's ResNet projects inside its attention pool, with a bias; its ViT without one.
        self.projection_bias = "AttentionPool" in type(getattr(model, "head", None)).__name__
        mean, std = (255 * torch.tensor(values).view(3, 1, 1) for values in PIXELS[pixels])
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

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
