"""FILIP's finer alignment: pictures and captions compared token by token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedbed.data.views import IMAGE, TEXT, View
from seedbed.model.gather import Gather
from seedbed.model.term import Feature, Features, Temperature, Term, TermModule, expect

CHUNK_BYTES = 32 << 20  # of similarities in memory at a time


def late_interaction(
    image_tokens: Tensor,
    text_tokens: Tensor,
    scale: Tensor | float,
    *,
    text_mask: Tensor | None = None,
    image_keep: int | None = None,
    text_keep: int | None = None,
    gather: Gather | None = None,
) -> Tensor:
    """Symmetric cross-entropy of token-wise similarities of matched pairs against all pairs.

    image_tokens [n, P, D], text_tokens [n, L, D] un-normalised, text_mask bool [n, L] -> loss [].
    A picture is like a caption by the mean, over its tokens, of each one's best cosine with the
    caption's tokens, times `scale`; a caption is like a picture the same way round. With
    `image_keep` or `text_keep`, what a pair is compared by on the other side are only its k
    tokens that are most like its own match. Yao et al. 2021 (arXiv:2111.07783), eq. 3-5.
    """
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
        to_text, to_image = _both_scores(image, text, text_mask)
    else:
        to_text = token_scores(image, gather.rows(other_text), gather.rows(other_mask))
        to_image = token_scores(text, gather.rows(other_image), own_mask=text_mask)
    target = gather.offset + torch.arange(len(image), device=image.device)
    rows = F.cross_entropy(scale * to_text, target, reduction="none")
    columns = F.cross_entropy(scale * to_image, target, reduction="none")
    return gather.mean((rows + columns) / 2)


@torch.no_grad()
def _most_alike(
    image: Tensor, text: Tensor, mask: Tensor, image_keep: int | None, text_keep: int | None
) -> tuple[Tensor | None, Tensor | None]:
    """Which tokens of each side to keep [n, k]: those most like the whole of their match."""
    alike = (image @ text.transpose(1, 2)) * mask[:, None]
    images = alike.sum(2).topk(min(image_keep, image.shape[1])).indices if image_keep else None
    if not text_keep:
        return images, None
    # Masked before it is chosen: padding has no similarity to be chosen by.
    sums = alike.sum(1).masked_fill(~mask, -torch.inf)
    return images, sums.topk(min(text_keep, text.shape[1])).indices


def token_scores(
    own: Tensor, other: Tensor, other_mask: Tensor | None = None, *, own_mask: Tensor | None = None
) -> Tensor:
    """For each pair the mean, over own tokens, of the best cosine with the other's.

    own [n, P, D], other [m, L, D] normalised; masks bool [n, P], [m, L] -> [n, m].
    """
    scores: Tensor = _MeanOfMax.apply(own, other, other_mask, _shares(own, own_mask), None)[0]  # type: ignore[no-untyped-call]
    return scores


def _both_scores(image: Tensor, text: Tensor, text_mask: Tensor) -> tuple[Tensor, Tensor]:
    """`token_scores` of each side with the other, from the same similarities."""
    shares = _shares(image, None), _shares(text, text_mask)
    to_text, from_text = _MeanOfMax.apply(image, text, text_mask, *shares)  # type: ignore[no-untyped-call]
    return to_text, from_text.T


def _shares(tokens: Tensor, mask: Tensor | None) -> Tensor:
    """What each token counts in its row's mean: [n, P]."""
    if mask is None:
        return tokens.new_full(tokens.shape[:2], 1 / tokens.shape[1])
    return mask.to(tokens.dtype) / mask.sum(1, keepdim=True).clamp(min=1)


class _MeanOfMax(torch.autograd.Function):
    """Means of best similarities, own [n, P, D] with other [m, L, D], in one or both directions.

    forward[i, j] = sum over p of own_share[i, p] * max over l of own[i, p] . other[j, l], and
    back[i, j] = sum over l of other_share[j, l] * max over p of the same; both [n, m].

    The similarities [n, P, m, L] are made a few rows at a time, and of them only which token was
    best is kept for the backward pass. Nothing else sees them: the place for a fused kernel.
    """

    @staticmethod
    def forward(
        ctx: Any,
        own: Tensor,
        other: Tensor,
        other_mask: Tensor | None,
        own_share: Tensor,
        other_share: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        (n, num_own), (m, num_others) = own.shape[:2], other.shape[:2]
        flat = other.flatten(0, 1).T
        scores = own.new_empty(n, m)
        best = _places(own, (n, num_own, m), num_others)
        back = back_best = None
        if other_share is not None:
            back, back_best = own.new_empty(n, m), _places(own, (n, m, num_others), num_own)
        room = _room(own, other)
        for part in _chunks(own, other):
            rows = own[part].flatten(0, 1)
            alike = torch.mm(rows, flat, out=room[: len(rows)])
            alike = alike.view(-1, num_own, m, num_others)
            if back is not None and back_best is not None:
                most, where = alike.max(1)
                back[part] = torch.einsum("ijl,jl->ij", most, other_share)
                back_best[part] = where.to(back_best.dtype)
            if other_mask is not None:
                alike.masked_fill_(~other_mask, -torch.inf)
            most, where = alike.max(-1)
            scores[part] = torch.einsum("ipj,ip->ij", most, own_share[part])
            best[part] = where.to(best.dtype)
        ctx.save_for_backward(own, other, own_share, other_share, best, back_best)
        return scores, back

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        own, other, own_share, other_share, best, back_best = ctx.saved_tensors
        grad, back_grad = grads
        m, num_others = other.shape[:2]
        flat = other.flatten(0, 1)
        grad_own, grad_other = torch.empty_like(own), torch.zeros_like(flat)
        room = _room(own, other)
        for part in _chunks(own, other):
            rows = own[part]
            # The gradient of each similarity: 0 but where it was the best.
            flat_alike = room[: rows.shape[0] * rows.shape[1]].zero_()
            alike = flat_alike.view(*rows.shape[:2], m, num_others)
            if grad is not None:
                value = own_share[part][:, :, None] * grad[part][:, None]
                alike.scatter_(-1, best[part].long()[..., None], value[..., None])
            if back_grad is not None and back_best is not None:
                value = other_share * back_grad[part][..., None]
                alike.scatter_add_(1, back_best[part].long()[:, None], value[:, None])
            grad_own[part] = (flat_alike @ flat).view_as(rows)
            grad_other.addmm_(flat_alike.T, rows.flatten(0, 1))
        return grad_own, grad_other.view_as(other), None, None, None


def _places(like: Tensor, shape: tuple[int, ...], num_tokens: int) -> Tensor:
    """Room for token numbers: a byte each, where they fit."""
    dtype = torch.uint8 if num_tokens <= 256 else torch.int32
    return torch.empty(shape, dtype=dtype, device=like.device)


def _chunk_rows(own: Tensor, other: Tensor) -> int:
    """How many rows of `own` have similarities with `other` that fill CHUNK_BYTES."""
    a_row = own.shape[1] * other.shape[0] * other.shape[1] * own.element_size()
    return min(len(own), max(1, CHUNK_BYTES // max(1, a_row)))


def _chunks(own: Tensor, other: Tensor) -> Iterator[slice]:
    size = _chunk_rows(own, other)
    for first in range(0, len(own), max(1, size)):
        yield slice(first, first + size)


def _room(own: Tensor, other: Tensor) -> Tensor:
    """Room for one chunk's similarities, used again by every chunk: on a CPU, asking the system
    for fresh pages each time takes longer than the product itself."""
    return own.new_empty(_chunk_rows(own, other) * own.shape[1], other.shape[0] * other.shape[1])


@dataclass(frozen=True)
class LateInteraction(Term):
    """`late_interaction` through a linear map of each side's tokens to `dim`.

    With a second view of a side (`image_b`, `text_b`), the mean over all pairs of views, through
    the same maps: the released code's `dense_aug`.

    `mask_padding`: what stands after a caption's end takes no part, as in the FILIP paper. The
    paper's code lets all 77 positions take part (Sense-GVT/DeCLIP#31), so that a score depends on
    the context's length; False is that. `image_keep` and `text_keep`, 0 for all: the code at its
    last commit keeps 16 of each; at the time of the paper, and up to May 2022, it kept all. Which
    of the two the published figures used cannot be told; the default is the code's of that time.
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
    def temperatures(self) -> frozenset[Temperature]:
        return frozenset({self.temperature})

    def flops(self, shapes: Mapping[Feature, tuple[int, ...]], batch: int) -> float:
        (patches, image_width), (words, text_width) = (
            shapes[Feature(view, "tokens")] for view in (self.image, self.text)
        )
        images, texts = len(self.images), len(self.texts)
        maps = images * patches * image_width + texts * words * text_width
        return 2.0 * self.dim * (maps + images * texts * batch * patches * words)

    def build(self, widths: Mapping[Feature, int]) -> LateInteractionModule:
        image, text = (widths[Feature(view, "tokens")] for view in (self.image, self.text))
        return LateInteractionModule(self, image, text)


class LateInteractionModule(TermModule):
    """The maps of both sides, with bias and no norm, and the loss over them."""

    def __init__(self, term: LateInteraction, image_width: int, text_width: int) -> None:
        super().__init__()
        self.term = term
        self.image_map = nn.Linear(image_width, term.dim)
        self.text_map = nn.Linear(text_width, term.dim)

    def image_tokens(self, tokens: Tensor) -> Tensor:
        """[n, P, width] to normalised [n, P, dim]."""
        return F.normalize(self.image_map(tokens), dim=-1)

    def text_tokens(self, tokens: Tensor) -> Tensor:
        """[n, L, width] to normalised [n, L, dim]."""
        return F.normalize(self.text_map(tokens), dim=-1)

    def forward(self, features: Features) -> Tensor:
        term = self.term
        with features.heads():
            images = [self.image_map(features[Feature(view, "tokens")]) for view in term.images]
            texts = [self.text_map(features[Feature(view, "tokens")]) for view in term.texts]
        losses = [
            late_interaction(
                image.float(),
                text.float(),
                features.scale(term.temperature),
                text_mask=features[Feature(view, "mask")] if term.mask_padding else None,
                image_keep=term.image_keep or None,
                text_keep=term.text_keep or None,
                gather=features.gather,
            )
            for view, text in zip(term.texts, texts, strict=True)
            for image in images
        ]
        return torch.stack(losses).mean()
