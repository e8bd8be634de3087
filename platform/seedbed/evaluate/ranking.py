"""Ranks captions for each picture, and pictures for each caption, by the model's similarity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seedbed.data.render import tokenizer
from seedbed.model.gather import in_turns
from seedbed.model.pretrainer import Pretrainer
from seedbed.model.similarity import Similarity

BATCH = 512


class Counter(Protocol):
    """Counts what it needs of the scores of all pictures, some of which it is shown at a time."""

    def see(self, scores: Tensor, rows: slice) -> None:
        """`scores` [some, captions] of the pictures `rows`, in their order."""


@torch.inference_mode()
def count(
    model: Pretrainer,
    images: NDArray[np.uint8],
    captions: Sequence[str],
    context: int,
    counters: Sequence[Counter],
) -> int | None:
    """Show `counters` how alike each of `images` uint8 [n, S, S, 3] and each caption are: pictures
    and captions are encoded once for all of them. Called by all ranks that train together, with the
    same captions, of which each encodes its part.

    Returns how many pictures have a score that is not finite; None for a model that was not trained
    to compare the two.
    """
    similarity = model.similarity()
    if similarity is None:
        return None
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    num_not_finite = 0
    try:
        _read(similarity, captions, context, device)
        for first in range(0, len(images), BATCH):
            rows = slice(first, first + BATCH)
            # A copy: the pictures may be mapped from a file, and are not for writing.
            scores = similarity.scores(torch.tensor(images[rows], device=device)).float()
            num_not_finite += int((~torch.isfinite(scores)).any(1).sum())
            for counter in counters:
                counter.see(scores, rows)
    finally:
        model.train(training)
    return num_not_finite


class AboveOwn:
    """For each picture, how many captions did not score less than its own: 0 is the best.

    `own` [n] are the indices of their captions. The rank is counted among all captions as
    `among_all`, and under each name of `among` [n, k] among the captions of those indices, the own
    one included.
    """

    def __init__(self, own: NDArray[np.int64], among: Mapping[str, NDArray[np.int64]]) -> None:
        self.own, self.among = own, among
        self._parts: dict[str, list[Tensor]] = {"among_all": [], **{name: [] for name in among}}

    def see(self, scores: Tensor, rows: slice) -> None:
        truth = torch.from_numpy(self.own[rows]).to(scores.device)[:, None]
        true_score = scores.gather(1, truth)
        # Not `>=`: NaN is neither more nor less, and must count against the true caption.
        self._parts["among_all"].append((~(scores < true_score)).sum(1) - 1)
        for name, numbers in self.among.items():
            subset = scores.gather(1, torch.from_numpy(numbers[rows]).to(scores.device))
            self._parts[name].append((~(subset < true_score)).sum(1) - 1)

    @property
    def counts(self) -> dict[str, NDArray[np.int64]]:
        """Each rank's column [n]."""
        empty = torch.empty(0, dtype=torch.int64)
        return {n: torch.cat(p or [empty]).cpu().numpy() for n, p in self._parts.items()}


class BothRanks:
    """Each picture's rank among captions, as `above_own` counts it; and of every caption the score
    of the `best` of its pictures [captions, 1] and those of the `most` best `others` [captions,
    most]. `own` [n] are the captions of the pictures.

    A caption without a picture has -inf as its best, and so have places that no other picture
    takes.
    """

    def __init__(self, own: NDArray[np.int64], num_captions: int, most: int) -> None:
        self.own, self.most, self.above_own = own, most, AboveOwn(own, {})
        self.best = torch.full((num_captions, 1), -torch.inf)
        self.others = torch.full((num_captions, most), -torch.inf)

    def see(self, scores: Tensor, rows: slice) -> None:
        self.above_own.see(scores, rows)
        device = scores.device
        truth = torch.from_numpy(self.own[rows]).to(device)
        mine = truth == torch.arange(len(self.best), device=device)[:, None]
        # No number: the worst of a caption's own pictures, and the best of the others.
        right = torch.nan_to_num(scores.T, -torch.inf, torch.inf, -torch.inf)
        wrong = torch.nan_to_num(scores.T, torch.inf, torch.inf, -torch.inf)
        right = right.masked_fill(~mine, -torch.inf).amax(1, keepdim=True)
        self.best = torch.maximum(self.best.to(device), right)
        wrong = wrong.masked_fill(mine, -torch.inf)
        both = torch.cat([self.others.to(device), wrong], dim=1)
        self.others = both.topk(self.most, dim=1).values


def _read(
    similarity: Similarity, captions: Sequence[str], context: int, device: torch.device
) -> None:
    """Encode the captions, some at a time, cut to the longest of them: of several ranks each its
    part, whose numbers are the same whoever encodes them."""
    ids, lengths = tokenizer.encode(captions, context)

    def read(first: int) -> tuple[Tensor, ...]:
        part = slice(first, first + BATCH)
        longest = int(lengths[part].max())
        columns = torch.from_numpy(ids[part, :longest]), torch.from_numpy(lengths[part])
        return similarity.read_text(*(column.to(device) for column in columns))

    blocks = in_turns(range(0, len(captions), BATCH), read)
    similarity.hold([tuple(one.to(device) for one in block) for block in blocks])
