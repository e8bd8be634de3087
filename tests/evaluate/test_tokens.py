"""Models that compare tokens, and models of pictures alone. Oracle: loops over single tokens,
written out here, on the towers and maps of the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.fixtures.models import VIT, described, small, trained

from seedbed.data.render import tokenizer
from seedbed.errors import DataError
from seedbed.evaluate.pretrained import OpenClipEncoder, TrainedEncoder
from seedbed.evaluate.probe import embedded
from seedbed.evaluate.probes import probe
from seedbed.evaluate.retrieval import retrieve
from seedbed.evaluate.stream import parts
from seedbed.evaluate.test_set import open_test_set
from seedbed.evaluate.zeroshot import classify
from seedbed.interchange.described import Described
from seedbed.interchange.model import Model
from seedbed.model.objective import Objective
from seedbed.variants import UNIFIED

CONTEXT = 12
PROMPTS = [["a photo of a red ball.", "red ball"], ["a photo of a very tall old tree.", "tree"]]


def encoder(variant: str = "filip", what: Described | None = None) -> TrainedEncoder:
    made = what or described(variant)
    return Model(trained(made), made).encoder(variant)


def own_tokens(one: TrainedEncoder, text: str) -> NDArray[np.float64]:
    """A caption's own tokens, without any padding, each of length 1 [length, dim]."""
    ids, lengths = (torch.from_numpy(a) for a in tokenizer.encode([text], CONTEXT))
    (term,) = one.model.terms.values()
    with torch.inference_mode():
        own = ids[:, : int(lengths[0])]
        tokens = term["text_map"](one.model.towers["text"](own, lengths).tokens)[0].double().numpy()
    found: NDArray[np.float64] = tokens / np.linalg.norm(tokens, axis=1, keepdims=True)
    return found


def patches(one: TrainedEncoder, pictures: torch.Tensor) -> list[NDArray[np.float64]]:
    (term,) = one.model.terms.values()
    with torch.inference_mode():
        tokens = term["image_map"](one.model.towers["image"](pictures).tokens).double().numpy()
    return [own / np.linalg.norm(own, axis=1, keepdims=True) for own in tokens]


def mean_of_best(own: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    best = [max(float(token @ its) for its in other) for token in own]
    return sum(best) / len(best)


@pytest.fixture
def pictures() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8))


def test_a_class_scores_the_mean_over_its_prompts_of_what_single_tokens_come_to(
    pictures: torch.Tensor,
) -> None:
    one = encoder()
    scores = one.classifier(PROMPTS)(pictures)
    expected = [
        [np.mean([mean_of_best(own, own_tokens(one, text)) for text in texts]) for texts in PROMPTS]
        for own in patches(one, pictures)
    ]
    assert scores.numpy() == pytest.approx(np.array(expected), abs=1e-5)


def test_a_score_does_not_depend_on_how_long_the_others_are(pictures: torch.Tensor) -> None:
    one = encoder()
    alone = [one.classifier([own])(pictures)[:, 0] for own in PROMPTS]
    assert torch.allclose(torch.stack(alone, 1), one.classifier(PROMPTS)(pictures), atol=1e-6)


def test_the_tower_sees_a_picture_once_however_many_prompts_there_are(
    pictures: torch.Tensor,
) -> None:
    one, seen = encoder(), []
    one.model.towers["image"].register_forward_hook(lambda *_: seen.append(1))
    one.classifier(PROMPTS)(pictures)
    assert len(seen) == 1


@pytest.mark.slow
def test_retrieval_compares_the_tokens_of_who_asks(captions: Path) -> None:
    one, test_set = encoder(), open_test_set(str(captions))
    (found,) = retrieve([one], test_set)
    pictures, texts, owner = [], [], []
    for part in parts(test_set, [one]):
        for example in part.examples:
            owner += [len(pictures)] * len(example.captions)
            texts += [own_tokens(one, text) for text in example.captions]
            pictures.append(None)
        tokens = patches(one, part.pictures[0])
    of_captions = np.array([[mean_of_best(text, own) for own in tokens] for text in texts])
    of_pictures = np.array([[mean_of_best(own, text) for text in texts] for own in tokens])
    # The same captions stand under several pictures' names here, but no two pictures are the same.
    for k in (1, 5, 10):
        best = np.argsort(-of_captions, axis=1, kind="stable")[:, :k]
        right = np.mean([place in row for place, row in zip(owner, best, strict=True)])
        assert found.values[f"image_retrieval_recall@{k}"] == pytest.approx(right, abs=1e-9)
        hits = 0
        for n, row in enumerate(of_pictures):
            mine = [m for m, place in enumerate(owner) if place == n]
            others = [m for m in range(len(texts)) if m not in mine]
            hits += sum(row[m] >= max(row[mine]) for m in others) < k
        assert found.values[f"text_retrieval_recall@{k}"] == pytest.approx(hits / 60, abs=1e-9)


@pytest.mark.slow
def test_models_without_embeddings_are_probed_beside_others(
    classification: Path, tiny: Callable[[int], str]
) -> None:
    pictures_only = small(Objective(simclr=dict(UNIFIED["slip"]["objective"].items())["simclr"]))
    alone = Described(VIT, described().text, pictures_only, embed_dim=24)
    encoders = [OpenClipEncoder.named(tiny(0)), encoder(), encoder("simclr", alone)]
    test_set = open_test_set(str(classification))
    found = probe(encoders, test_set)
    assert [one.protocol["features"] for one in found] == [
        "embeddings, normalised",
        "means of token features, normalised",
        "pooled features, normalised",
    ]
    assert all(one.values["lp_acc1"] > 1 / 7 for one in found)
    # The mean over patches of what the tower says of each.
    (part,) = parts(test_set, [encoders[1]])
    with torch.inference_mode():
        tokens = encoders[1].model.towers["image"](part.pictures[0]).tokens.double()
    means = tokens.mean(1).numpy()
    expected = means / np.linalg.norm(means, axis=1, keepdims=True)
    assert embedded([encoders[1]], test_set)[0].features == pytest.approx(expected, abs=1e-5)
    with pytest.raises(DataError, match=r"simclr was not trained to compare(.|\n)*--probe"):
        classify(encoders, test_set)
