"""Ranks captions for each picture, and pictures for each caption, by the model's similarity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seedbed.data.render import tokenizer
from seedbed.model.pretrainer import Pretrainer

BATCH = 512

Counts = dict[str, NDArray[np.int64]]


@torch.inference_mode()
def rank_captions(
    model: Pretrainer,
    images: NDArray[np.uint8],
    captions: Sequence[str],
    own: NDArray[np.int64],
    *,
    among: Mapping[str, NDArray[np.int64]],
    context: int,
) -> tuple[Counts, int] | None:
    """For each picture, how many captions did not score less than its own: 0 is the best.

    images uint8 [n, S, S, 3], `own` [n] are the indices of their captions. The rank is counted
    among all captions as `among_all`, and under each name of `among` [n, k] among the captions of
    those indices, the own one included. Returns the counts [n], and how many pictures have a score
    that is not finite; None for a model that was not trained to compare the two.
    """
    similarity = model.similarity()
    if similarity is None:
        return None
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    try:
        similarity.read_texts(_text_batches(captions, context, device))
        parts: dict[str, list[Tensor]] = {"among_all": [], **{name: [] for name in among}}
        num_not_finite = 0
        for first in range(0, len(images), BATCH):
            rows = slice(first, first + BATCH)
            # A copy: the pictures may be mapped from a file, and are not for writing.
            scores = similarity.scores(torch.tensor(images[rows], device=device))
            truth = torch.from_numpy(own[rows]).to(device)[:, None]
            true_score = scores.gather(1, truth)
            # Not `>=`: NaN is neither more nor less, and must count against the true caption.
            parts["among_all"].append((~(scores < true_score)).sum(1) - 1)
            for name, numbers in among.items():
                subset = scores.gather(1, torch.from_numpy(numbers[rows]).to(device))
                parts[name].append((~(subset < true_score)).sum(1) - 1)
            num_not_finite += int((~torch.isfinite(scores)).any(1).sum())
    finally:
        model.train(training)
    return {name: _numpy(batches) for name, batches in parts.items()}, num_not_finite


@dataclass(frozen=True)
class BothRanks:
    """`text_rank` [n] as `rank_captions` counts it; of every caption the score of the `best` of its
    pictures [captions, 1] and those of the best `others` [captions, k]."""

    text_rank: NDArray[np.int64]
    best: NDArray[np.float32]
    others: NDArray[np.float32]
    num_not_finite: int


@torch.inference_mode()
def rank_both_ways(
    model: Pretrainer,
    images: NDArray[np.uint8],
    captions: Sequence[str],
    own: NDArray[np.int64],
    *,
    most: int,
    context: int,
) -> BothRanks | None:
    """Pictures uint8 [n, S, S, 3] among `captions`, of which `own` [n] are theirs, and captions
    among pictures, of which the `most` best are kept. A caption without a picture has -inf as its
    best, and so have places that no other picture takes.

    None for a model that was not trained to compare the two.
    """
    similarity = model.similarity()
    if similarity is None:
        return None
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    best = torch.full((len(captions), 1), -torch.inf, device=device)
    others = torch.full((len(captions), most), -torch.inf, device=device)
    ranks: list[Tensor] = []
    num_not_finite = 0
    try:
        similarity.read_texts(_text_batches(captions, context, device))
        for first in range(0, len(images), BATCH):
            rows = slice(first, first + BATCH)
            # A copy: the pictures may be mapped from a file, and are not for writing.
            scores = similarity.scores(torch.tensor(images[rows], device=device)).float()
            truth = torch.from_numpy(own[rows]).to(device)
            ranks.append((~(scores < scores.gather(1, truth[:, None]))).sum(1) - 1)
            num_not_finite += int((~torch.isfinite(scores)).any(1).sum())
            mine = truth == torch.arange(len(captions), device=device)[:, None]
            # No number: the worst of a caption's own pictures, and the best of the others.
            right = torch.nan_to_num(scores.T, -torch.inf, torch.inf, -torch.inf)
            wrong = torch.nan_to_num(scores.T, torch.inf, torch.inf, -torch.inf)
            right = right.masked_fill(~mine, -torch.inf).amax(1, keepdim=True)
            best = torch.maximum(best, right)
            wrong = wrong.masked_fill(mine, -torch.inf)
            others = torch.cat([others, wrong], dim=1).topk(most, dim=1).values
    finally:
        model.train(training)
    return BothRanks(_numpy(ranks), best.cpu().numpy(), others.cpu().numpy(), num_not_finite)


def _text_batches(
    captions: Sequence[str], context: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Token ids and lengths of `captions`, cut to the longest of each batch."""
    ids, lengths = tokenizer.encode(captions, context)
    for first in range(0, len(captions), BATCH):
        part = slice(first, first + BATCH)
        longest = int(lengths[part].max())
        yield (
            torch.from_numpy(ids[part, :longest]).to(device),
            torch.from_numpy(lengths[part]).to(device),
        )


def _numpy(parts: list[Tensor]) -> NDArray[np.int64]:
    return torch.cat(parts).cpu().numpy() if parts else np.empty(0, np.int64)
