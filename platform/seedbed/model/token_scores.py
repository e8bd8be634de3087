"""Token-wise similarity: means of largest cosines, without storing all cosines.

Of every pair of rows all tokens are compared, [n, P, m, L] numbers: a batch of 512 pairs at 50
and 77 tokens has a billion. They are made a few rows at a time, in both directions at once. With
`half` they are bf16's products of tokens rounded to bf16; means and their gradients stay wide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def token_scores(
    own: Tensor,
    other: Tensor,
    other_mask: Tensor | None = None,
    *,
    own_mask: Tensor | None = None,
    half: bool = False,
) -> Tensor:
    """For each pair the mean, over own tokens, of the largest cosine with the other's tokens.

    own [n, P, D], other [m, L, D] normalised; masks bool [n, P], [m, L] -> [n, m].
    """
    from seedbed.model.mean_of_max import MeanOfMax

    own_share = _shares(own, own_mask)
    own, other = _narrowed(own, half), _narrowed(other, half)
    scores: Tensor = MeanOfMax.apply(own, other, other_mask, own_share, None)[0]  # type: ignore[no-untyped-call]
    return scores


def both_scores(
    image: Tensor, text: Tensor, text_mask: Tensor, *, half: bool = False
) -> tuple[Tensor, Tensor]:
    """`token_scores` of each side with the other, from the same similarities."""
    from seedbed.model.mean_of_max import MeanOfMax

    shares = _shares(image, None), _shares(text, text_mask)
    image, text = _narrowed(image, half), _narrowed(text, half)
    to_text, from_text = MeanOfMax.apply(image, text, text_mask, *shares)  # type: ignore[no-untyped-call]
    return to_text, from_text.T


def _narrowed(tokens: Tensor, half: bool) -> Tensor:
    return tokens.bfloat16() if half else tokens


def _shares(tokens: Tensor, mask: Tensor | None) -> Tensor:
    """The weight of each token in its row's mean [n, P]."""
    if mask is None:
        return tokens.new_full(tokens.shape[:2], 1 / tokens.shape[1])
    return mask.to(tokens.dtype) / mask.sum(1, keepdim=True).clamp(min=1)
