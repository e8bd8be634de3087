"""Caption retrieval. Oracle: a plain loop over pictures and names, written out here."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from seedbed.data.render import tokenizer
from seedbed.evaluate.scores import Scores
from seedbed.evaluate.task import Pairs
from seedbed.evaluate.tasks.held_out_captions import HeldOutCaptions
from seedbed.model.pretrainer import Pretrainer
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower
from seedbed.variants import CLIP, FILIP

NUM_IMAGES, CONTEXT = 12, 12
NAMES = ("a bar", "a circle", "a hat", "a red square", "a tree")


def small(objective: object = CLIP) -> Pretrainer:
    return Pretrainer(
        ImageTower("test_vit", size=32),
        TextTower(layers=1, width=32, heads=2, context=CONTEXT),
        objective,  # type: ignore[arg-type]
        embed_dim=16,
        seed=0,
    )


@pytest.fixture
def images() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (NUM_IMAGES, 32, 32, 3), np.uint8)


IDS = np.arange(NUM_IMAGES, dtype=np.int64)
CAPTIONS = [NAMES[i % len(NAMES)] for i in range(NUM_IMAGES)]
TASK = HeldOutCaptions()


def scored(model: Pretrainer, images: NDArray[np.uint8]) -> Scores:
    part = TASK.prepare(Pairs(images, tuple(CAPTIONS), IDS, NAMES, CONTEXT))
    found = TASK.run(model, part)
    assert found is not None
    return found


def test_a_sound_model_is_counted_as_by_a_plain_loop(images: NDArray[np.uint8]) -> None:
    model = small()
    found = scored(model, images)
    model.eval()
    tokens, lengths = (torch.from_numpy(a) for a in tokenizer.encode(NAMES, CONTEXT))
    with torch.inference_mode():
        pictures = torch.nn.functional.normalize(model.embed_image(torch.from_numpy(images)))
        texts = torch.nn.functional.normalize(model.embed_text(tokens, lengths))
    for i, caption in enumerate(CAPTIONS):
        own = NAMES.index(caption)
        scores = [float(pictures[i] @ text) for text in texts]
        assert found.columns["among_all"][i] == sum(
            scores[n] >= scores[own] for n in range(len(NAMES)) if n != own
        )
    assert found.num_not_finite == 0


@pytest.mark.parametrize("objective", [CLIP, FILIP], ids=["embeddings", "tokens"])
@pytest.mark.parametrize("tower", ["image", "text"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_model_of_weights_that_are_not_finite_names_no_picture_right(
    images: NDArray[np.uint8], objective: object, tower: str, value: float
) -> None:
    model = small(objective)
    with torch.no_grad():
        for parameter in model.towers[tower].parameters():
            parameter.fill_(value)
    found = scored(model, images)
    metrics = TASK.values(found)
    assert metrics["zeroshot/top1"] == 0.0
    assert "zeroshot/top1_of_100" not in metrics  # its names are five
    assert (found.columns["among_all"] == len(NAMES) - 1).all()
    assert (found.columns["among_100"] == len(NAMES) - 1).all()
    assert found.num_not_finite == NUM_IMAGES


def test_a_name_without_a_score_counts_against_every_other(images: NDArray[np.uint8]) -> None:
    """The name might have been the best: nobody can say, and no picture is named right."""
    model = small()
    sound = scored(model, images)
    ids, lengths = tokenizer.encode(NAMES, CONTEXT)
    words = [set(row[:n].tolist()) for row, n in zip(ids, lengths, strict=True)]
    hat = NAMES.index("a hat")
    alone = words[hat] - set().union(*(w for i, w in enumerate(words) if i != hat))
    with torch.no_grad():
        model.towers["text"].embedding.weight[alone.pop()] = torch.nan
    found = scored(model, images)
    assert (found.columns["among_all"] >= np.maximum(1, sound.columns["among_all"])).all()
    assert (found.columns["among_all"][[c == "a hat" for c in CAPTIONS]] == len(NAMES) - 1).all()
    assert found.num_not_finite == NUM_IMAGES
