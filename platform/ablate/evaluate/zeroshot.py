"""Zero-shot classification: held-out pictures among the names of their split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ablate.data import tokenizer
from ablate.data.order import derive
from ablate.model.pretrainer import Pretrainer

NUM_CANDIDATES = 100
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
    """Per picture, how many names scored at least as high as its own: 0 is correct.

    `among_all` counts all names, `among_100` the picture's candidates; ids [n] name pictures.
    """

    ids: NDArray[np.int64]
    among_all: NDArray[np.int64]
    among_100: NDArray[np.int64]

    def metrics(self, num_names: int) -> dict[str, float]:
        """Accuracies as fractions of the pictures."""
        return {
            "zeroshot/top1": float((self.among_all < 1).mean()),
            "zeroshot/top5": float((self.among_all < 5).mean()),
            "zeroshot/top1_of_100": float((self.among_100 < 1).mean()),
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
) -> ZeroShot:
    """Rank every name for every picture: images uint8 [n, S, S, 3].

    A name that scores the same as the true one counts against it, so that a model whose
    embeddings have all collapsed scores 0, not 1.
    """
    training = model.training
    model.eval()
    try:
        text = embed_texts(model, candidates.names, context=context, device=device)
        among_all, among_100 = [], []
        for first in range(0, len(images), BATCH):
            part = slice(first, first + BATCH)
            pictures = torch.from_numpy(images[part]).to(device)
            image = F.normalize(model.embed_image(pictures).float(), dim=-1)
            cosines = image @ text.T
            truth = torch.from_numpy(candidates.truth[part]).to(device)[:, None]
            own = cosines.gather(1, truth)
            subset = cosines.gather(1, torch.from_numpy(candidates.of_100[part]).to(device))
            among_all.append((cosines >= own).sum(1) - 1)
            among_100.append((subset >= own).sum(1) - 1)
    finally:
        model.train(training)
    return ZeroShot(ids, _numpy(among_all), _numpy(among_100))


def embed_texts(
    model: Pretrainer, captions: Sequence[str], *, context: int, device: torch.device
) -> Tensor:
    """Normalised text embeddings [n, D]."""
    ids, lengths = tokenizer.encode(captions, context)
    parts = []
    for first in range(0, len(captions), BATCH):
        part = slice(first, first + BATCH)
        longest = int(lengths[part].max())
        text = model.embed_text(
            torch.from_numpy(ids[part, :longest]).to(device),
            torch.from_numpy(lengths[part]).to(device),
        )
        parts.append(F.normalize(text.float(), dim=-1))
    return torch.cat(parts)


def _numpy(parts: list[Tensor]) -> NDArray[np.int64]:
    return torch.cat(parts).cpu().numpy() if parts else np.empty(0, np.int64)
