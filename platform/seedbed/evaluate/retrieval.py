"""Retrieval of pictures by captions and of captions by pictures, with several captions a picture.

Recall at k as papers state it: the share of queries for which a true partner is among the k best.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seedbed.errors import DataError
from seedbed.evaluate.encoder import Encoder
from seedbed.evaluate.outcome import Outcome, wilson_of_groups
from seedbed.evaluate.scores import Scores
from seedbed.evaluate.stream import BATCH, parts
from seedbed.evaluate.test_set import TestSet
from seedbed.evaluate.zeroshot import no_number

if TYPE_CHECKING:
    from seedbed.evaluate.encoder import Rows

TASK = "zeroshot_retrieval"
KS = (1, 5, 10)
QUERIES = 512  # compared with everything at a time


def retrieve(
    encoders: Sequence[Encoder], test_set: TestSet, *, batch: int = BATCH
) -> list[Outcome | DataError]:
    """Each model's recalls, or why it has none; all read one stream of pictures."""
    captions: list[str] = []
    owner: list[int] = []  # of each caption, the number of its picture
    pictures: list[list[Tensor]] = [[] for _ in encoders]
    number = 0
    for part in parts(test_set, encoders, batch=batch):
        for example in part.examples:
            captions += example.captions
            owner += [number] * len(example.captions)
            number += 1
        for place, encoder in enumerate(encoders):
            pictures[place].append(encoder.rows(part.pictures[place]))
    truth = np.array(owner)
    return [
        _outcome(encoder, test_set, torch.cat(own), captions, truth)
        for encoder, own in zip(encoders, pictures, strict=True)
    ]


def _outcome(
    encoder: Encoder,
    test_set: TestSet,
    pictures: Tensor,
    captions: Sequence[str],
    owner: NDArray[np.int64],
) -> Outcome | DataError:
    of_pictures, of_captions = encoder.compared(pictures, captions)
    partners: list[list[int]] = [[] for _ in range(len(pictures))]
    for caption, picture in enumerate(owner):
        partners[picture].append(caption)
    try:
        by_text = best_ranks(of_captions, [[int(one)] for one in owner])
        by_image = best_ranks(of_pictures, partners)
    except FloatingPointError:
        return no_number(encoder.name, test_set)
    values = {_image(k): float((by_text < k).mean()) for k in KS}
    values |= {_text(k): float((by_image < k).mean()) for k in KS}
    chance = {_image(k): min(1.0, k / len(pictures)) for k in KS}
    chance |= {
        _text(k): found_by_chance(k, [len(own) for own in partners], len(captions)) for k in KS
    }
    scores = Scores(
        np.arange(len(pictures)),
        {"caption_rank": by_image},
        len(captions),
        by_name={"picture": owner[:, None], "picture_rank": by_text[:, None]},
    )
    return Outcome(
        encoder.name,
        test_set.name,
        TASK,
        values,
        chance,
        scores,
        {**encoder.protocol, "split": test_set.split, "num_captions": len(captions),
         "test_set": test_set.mark},
        queries={_image(k): len(captions) for k in KS},
        intervals={_image(k): wilson_of_groups(by_text < k, owner) for k in KS},
        pretrained=encoder.pretrained,
    )  # fmt: skip


def _image(k: int) -> str:
    return f"image_retrieval_recall@{k}"


def _text(k: int) -> str:
    return f"text_retrieval_recall@{k}"


def found_by_chance(k: int, partners: Sequence[int], num_captions: int) -> float:
    """How often `k` captions at random have one of a picture's own, of which it has `partners`."""
    drawn = math.comb(num_captions, min(k, num_captions))
    missed = [math.comb(num_captions - own, min(k, num_captions)) / drawn for own in partners]
    return 1 - sum(missed) / len(missed)


def best_ranks(scores_of: Rows, partners: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Of each query, how many candidates that are no partner score as high as its best one [n].

    `scores_of` a part of the queries are [part, candidates]. Raises FloatingPointError where one is
    no number.
    """
    ranks = np.empty(len(partners), np.int64)
    for first in range(0, len(partners), QUERIES):
        scores = scores_of(slice(first, first + QUERIES))
        if not bool(torch.isfinite(scores).all()):
            raise FloatingPointError
        for row, own in enumerate(scores):
            mine = torch.tensor(partners[first + row])
            best = own[mine].max()
            ranks[first + row] = int((own >= best).sum()) - int((own[mine] >= best).sum())
    return ranks
