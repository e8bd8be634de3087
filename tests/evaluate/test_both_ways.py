"""Recall both ways on held-out pairs. Oracle: a plain loop over all pairs of a picture and a
caption, written out here."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.contracts.test_tasks import small

from seedbed.data.render import tokenizer
from seedbed.evaluate.scores import Scores
from seedbed.evaluate.task import Pairs
from seedbed.evaluate.tasks.both_ways import KS, BothWays
from seedbed.variants import CLIP

NUM, CONTEXT = 47, 12
NAMES = tuple(
    sorted(
        f"{a} {b}" for a in ("red", "blue", "tall") for b in ("hat", "tree", "bar", "cat", "dog")
    )
)
TASK = BothWays()


def pairs(rank: int = 0, world: int = 1) -> Pairs:
    """Of 15 captions, which three or four pictures have each."""
    images = np.random.default_rng(0).integers(0, 256, (NUM, 32, 32, 3), np.uint8)
    mine = slice(rank, None, world)
    captions = tuple(NAMES[i % len(NAMES)] for i in range(NUM))[mine]
    return Pairs(images[mine], captions, np.arange(NUM)[mine], NAMES, CONTEXT)


def scored(model: object, rank: int = 0, world: int = 1) -> Scores:
    found = TASK.run(model, TASK.prepare(pairs(rank, world)))  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.parametrize("world", [1, 3])
def test_recalls_are_those_of_a_plain_loop_however_many_ranks_there_are(world: int) -> None:
    model = small(CLIP).eval()
    tokens, lengths = (torch.from_numpy(a) for a in tokenizer.encode(NAMES, CONTEXT))
    with torch.inference_mode():
        pictures = torch.nn.functional.normalize(
            model.embed_image(torch.from_numpy(pairs().images))
        )
        texts = torch.nn.functional.normalize(model.embed_text(tokens, lengths))
    scores = (pictures @ texts.T).tolist()
    own = [n % len(NAMES) for n in range(NUM)]
    text = [
        sum(row[n] > row[one] for n in range(len(NAMES)))
        for row, one in zip(scores, own, strict=True)
    ]
    image = []
    for n in range(len(NAMES)):
        best = max(scores[i][n] for i in range(NUM) if own[i] == n)
        image.append(sum(scores[i][n] > best for i in range(NUM) if own[i] != n))
    found = TASK.values(Scores.joined([scored(model, rank, world) for rank in range(world)]))
    for k in KS:
        assert found[f"retrieval/text_recall_at_{k}"] == pytest.approx(
            np.mean([r < k for r in text])
        )
        assert found[f"retrieval/image_recall_at_{k}"] == pytest.approx(
            np.mean([r < k for r in image])
        )
    for way in ("image", "text"):
        least, most = (found[f"retrieval/{way}_recall_at_{k}"] for k in (1, 10))
        assert least < most and 0 < most < 1  # something was told apart, and not all
    assert found["retrieval/num_images"] == NUM and found["retrieval/num_captions"] == len(NAMES)


def test_a_model_to_which_everything_is_alike_finds_nothing() -> None:
    model = small(CLIP)
    with torch.no_grad():
        for parameter in model.projections["image"].parameters():
            parameter.fill_(0)
    found = TASK.values(scored(model))
    assert [found[f"retrieval/{way}_recall_at_{k}"] for way in ("image", "text") for k in KS] == [
        0
    ] * 6
