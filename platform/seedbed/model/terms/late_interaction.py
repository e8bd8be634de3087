"""FILIP's finer alignment: pictures and captions compared token by token."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seedbed.data.views import IMAGE, TEXT, View
from seedbed.model.expect import expect
from seedbed.model.similarity import Encoders, Similarity
from seedbed.model.term import Compared, Feature, Features, Temperature, Term
from seedbed.model.token_scores import both_scores, token_scores

if TYPE_CHECKING:
    from torch import Tensor, nn

    from seedbed.model.gather import Gather


def late_interaction(
    image_tokens: Tensor,
    text_tokens: Tensor,
    scale: Tensor | float,
    *,
    text_mask: Tensor | None = None,
    image_keep: int | None = None,
    text_keep: int | None = None,
    half: bool = False,
    gather: Gather | None = None,
) -> Tensor:
    """Symmetric cross-entropy of token-wise similarities of matched pairs against all pairs.

    image_tokens [n, P, D], text_tokens [n, L, D] un-normalised, text_mask bool [n, L] -> loss []. A
    picture's similarity to a caption is the mean, over the picture's tokens, of the largest cosine
    with any of the caption's tokens, times `scale`; a caption's similarity to a picture likewise.
    With `image_keep` or `text_keep` that maximum is only over the k tokens of that side most
    similar to their own match. Cosines are computed in bf16 with `half`. Yao et al. 2021
    (arXiv:2111.07783), eq. 3-5.
    """
    import torch
    import torch.nn.functional as F

    from seedbed.model.gather import Gather

    gather = gather or Gather()
    image, text = F.normalize(image_tokens, dim=-1), F.normalize(text_tokens, dim=-1)
    if text_mask is None:
        text_mask = torch.ones(text.shape[:2], dtype=torch.bool, device=text.device)
    other_image, other_text, other_mask = image, text, text_mask
    if image_keep or text_keep:
        kept_image, kept_text = _most_alike(image, text, text_mask, image_keep, text_keep)
        if kept_image is not None:
            other_image = image.gather(1, kept_image[..., None].expand(-1, -1, image.shape[-1]))
        if kept_text is not None:
            other_text = text.gather(1, kept_text[..., None].expand(-1, -1, text.shape[-1]))
            other_mask = text_mask.gather(1, kept_text)
    if gather.world == 1 and other_image is image and other_text is text:
        to_text, to_image = both_scores(image, text, text_mask, half=half)
    else:
        texts, masks = gather.rows(other_text), gather.rows(other_mask)
        to_text = token_scores(image, texts, masks, half=half)
        to_image = token_scores(text, gather.rows(other_image), own_mask=text_mask, half=half)
    target = gather.offset + torch.arange(len(image), device=image.device)
    rows = F.cross_entropy(scale * to_text, target, reduction="none")
    columns = F.cross_entropy(scale * to_image, target, reduction="none")
    return gather.mean((rows + columns) / 2)


def _most_alike(
    image: Tensor, text: Tensor, mask: Tensor, image_keep: int | None, text_keep: int | None
) -> tuple[Tensor | None, Tensor | None]:
    """Which tokens of each side to keep [n, k]: the most similar, summed over their match."""
    alike = (image.detach() @ text.detach().transpose(1, 2)) * mask[:, None]
    images = alike.sum(2).topk(min(image_keep, image.shape[1])).indices if image_keep else None
    if not text_keep:
        return images, None
    # Masked before top-k, so that padding is not chosen.
    sums = alike.sum(1).masked_fill(~mask, -math.inf)
    return images, sums.topk(min(text_keep, text.shape[1])).indices


@dataclass(frozen=True)
class LateInteraction(Term):
    """`late_interaction` through a linear map of each side's tokens to `dim`.

    With a second view of a side (`image_b`, `text_b`), the mean over all pairs of views, through
    the same maps: the released code's `dense_aug`.

    `mask_padding` leaves out the padding after a caption's end, as the FILIP paper does. The
    paper's code includes all 77 positions (Sense-GVT/DeCLIP#31), so that a score depends on the
    context's length: that is False. `image_keep` and `text_keep`, 0 for all: the code at its last
    commit keeps 16 of each; at the time of the paper, and up to May 2022, it kept all. Which of the
    two gave the published figures is not known; the default is the code's of that time.
    """

    image: View = IMAGE
    text: View = TEXT
    dim: int = 256
    mask_padding: bool = True
    image_keep: int = 0
    text_keep: int = 0
    temperature: Temperature = Temperature("dense")
    image_b: View | None = None
    text_b: View | None = None

    def __post_init__(self) -> None:
        expect(self, "image", *self.images)
        expect(self, "text", *self.texts)

    @property
    def images(self) -> tuple[View, ...]:
        return tuple(view for view in (self.image, self.image_b) if view is not None)

    @property
    def texts(self) -> tuple[View, ...]:
        return tuple(view for view in (self.text, self.text_b) if view is not None)

    @property
    def needs(self) -> frozenset[Feature]:
        tokens = frozenset(Feature(view, "tokens") for view in (*self.images, *self.texts))
        masks = frozenset(Feature(view, "mask") for view in self.texts)
        return tokens | masks if self.mask_padding else tokens

    @property
    def reads_padding(self) -> bool:
        return not self.mask_padding

    @property
    def similarity(self) -> Compared | None:
        return "tokens"

    @property
    def temperatures(self) -> frozenset[Temperature]:
        return frozenset({self.temperature})

    def flops(self, shapes: Mapping[Feature, tuple[int, ...]], batch: int) -> float:
        (patches, image_width), (words, text_width) = (
            shapes[Feature(view, "tokens")] for view in (self.image, self.text)
        )
        images, texts = len(self.images), len(self.texts)
        maps = images * patches * image_width + texts * words * text_width
        return 2.0 * self.dim * (maps + images * texts * batch * patches * words)

    def layers(self, widths: Mapping[Feature, int]) -> Mapping[str, nn.Module]:
        """A map of each side's tokens, with bias and no norm."""
        from torch import nn

        image, text = (widths[Feature(view, "tokens")] for view in (self.image, self.text))
        return {"image_map": nn.Linear(image, self.dim), "text_map": nn.Linear(text, self.dim)}

    def loss(self, features: Features, layers: nn.ModuleDict) -> Tensor:
        import torch

        with features.heads():
            images = [
                layers["image_map"](features[Feature(view, "tokens")]) for view in self.images
            ]
            texts = [layers["text_map"](features[Feature(view, "tokens")]) for view in self.texts]
        losses = [
            late_interaction(
                image.float(),
                text.float(),
                features.scale(self.temperature),
                text_mask=features[Feature(view, "mask")] if self.mask_padding else None,
                image_keep=self.image_keep or None,
                text_keep=self.text_keep or None,
                half=features.half_products,
                gather=features.gather,
            )
            for view, text in zip(self.texts, texts, strict=True)
            for image in images
        ]
        return torch.stack(losses).mean()

    def comparison(self, layers: nn.ModuleDict, encoders: Encoders) -> Similarity:
        return TokenSimilarity(layers, encoders)


class TokenSimilarity(Similarity):
    """Over a picture's tokens, the mean of the best cosine with a caption's.

    From picture to caption as in the paper's code (Sense-GVT/DeCLIP), but over the caption's own
    tokens: that code also counts the padding, averages unlike words of several prompts by their
    position, and divides by a norm that grows with the caption.
    """

    def __init__(self, maps: nn.ModuleDict, encoders: Encoders) -> None:
        self.maps, self.encoders = maps, encoders

    def read_text(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        """Normalised tokens [m, L, dim], and which of them are the caption's own [m, L]."""
        text = self.encoders.towers["text"](ids, lengths)
        return self._mapped("text_map", text.tokens), text.mask

    def read_image(self, images: Tensor) -> Tensor:
        """Normalised tokens [n, P, dim]."""
        return self._mapped("image_map", self.encoders.towers["image"](images).tokens)

    def both(self, image: Tensor, text: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        to_text, to_image = both_scores(image, *text)
        return to_text, to_image.T

    def by_image(self, image: Tensor, text: tuple[Tensor, ...]) -> Tensor:
        return token_scores(image, *text)

    def _mapped(self, side: str, tokens: Tensor) -> Tensor:
        """[n, L, width] to normalised [n, L, dim]."""
        import torch.nn.functional as F

        return F.normalize(self.maps[side](tokens.float()), dim=-1)
