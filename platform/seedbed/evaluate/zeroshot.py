"""Zero-shot classification: held-out pictures among the names of their split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seedbed.data.order import derive
from seedbed.data.render import tokenizer
from seedbed.model.pretrainer import Pretrainer

NUM_CANDIDATES = 100
# Of each accuracy, so many names that it is what it is called, and not certain.
NAMES_NEEDED = {
    "zeroshot/top1": 2,
    "zeroshot/top5": 6,
    "zeroshot/top1_of_100": NUM_CANDIDATES,
}
BATCH = 512


@dataclass(frozen=True)
class Candidates:
    """For each picture the numbers of 100 names, its own first: [n, 100], seeded by its id.

    The same for every trial, so that differences between trials are paired by picture.
    """

    names: tuple[str, ...]
    truth: NDArray[np.int64]
    of_100: NDArray[np.int64]

    @classmethod
    def draw(cls, captions: Sequence[str], names: Sequence[str], ids: NDArray[Any]) -> Candidates:
        """`names` sorted and unique; `captions` [n] of the pictures `ids` [n]."""
        number = {name: i for i, name in enumerate(names)}
        truth = np.array([number[caption] for caption in captions], np.int64)
        wanted = min(NUM_CANDIDATES, len(names))
        rows = np.empty((len(truth), wanted), np.int64)
        for row, (own, sample_id) in enumerate(zip(truth.tolist(), ids.tolist(), strict=True)):
            words = np.random.Philox(key=derive("candidates", sample_id)).random_raw(len(names))
            others = np.argsort(words, kind="stable")[:wanted]
            others = others[others != own][: wanted - 1]
            rows[row] = [own, *others]
        return cls(tuple(names), truth, rows)


@dataclass(frozen=True)
class ZeroShot:
    """Per picture, how many names did not score less than its own: 0 is correct.

    `among_all` counts all names, `among_100` the picture's candidates; ids [n] name pictures.
    `num_not_finite` pictures have a score that is no number: such a name counts against the
    true one, and a true one without a score is never right.
    """

    ids: NDArray[np.int64]
    among_all: NDArray[np.int64]
    among_100: NDArray[np.int64]
    num_not_finite: int = 0

    def metrics(self, num_names: int) -> dict[str, float]:
        """Accuracies as fractions of the pictures; none that its names are too few for."""
        found = {
            "zeroshot/top1": float((self.among_all < 1).mean()),
            "zeroshot/top5": float((self.among_all < 5).mean()),
            "zeroshot/top1_of_100": float((self.among_100 < 1).mean()),
        }
        return {name: v for name, v in found.items() if num_names >= NAMES_NEEDED[name]} | {
            "zeroshot/num_images": float(len(self.ids)),
            "zeroshot/num_names": float(num_names),
        }


@torch.inference_mode()
def zero_shot(
    model: Pretrainer,
    images: NDArray[np.uint8],
    ids: NDArray[np.int64],
    candidates: Candidates,
    *,
    context: int,
    device: torch.device,
) -> ZeroShot | None:
    """Rank every name for every picture: images uint8 [n, S, S, 3].

    Pictures and names are compared as the objective aligns them: None where nothing does. A name
    that scores
    the same as the true one counts against it, so that a model whose embeddings have all
    collapsed, or are no numbers, scores 0, not 1.
    """
    similarity = model.similarity()
    if similarity is None:
        return None
    training = model.training
    model.eval()
    try:
        similarity.read_texts(_text_batches(candidates.names, context, device))
        among_all, among_100 = [], []
        num_not_finite = 0
        for first in range(0, len(images), BATCH):
            part = slice(first, first + BATCH)
            scores = similarity.scores(torch.from_numpy(images[part]).to(device))
            truth = torch.from_numpy(candidates.truth[part]).to(device)[:, None]
            own = scores.gather(1, truth)
            subset = scores.gather(1, torch.from_numpy(candidates.of_100[part]).to(device))
            # Not `>=`: NaN is neither more nor less, and must count against the true name.
            among_all.append((~(scores < own)).sum(1) - 1)
            among_100.append((~(subset < own)).sum(1) - 1)
            num_not_finite += int((~torch.isfinite(scores)).any(1).sum())
    finally:
        model.train(training)
    return ZeroShot(ids, _numpy(among_all), _numpy(among_100), num_not_finite)


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
