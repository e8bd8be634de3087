"""Probes. Oracles: scikit-learn's logistic regression and nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from seedbed.errors import DataError
from seedbed.evaluate.pretrained import OpenClipEncoder
from seedbed.evaluate.probe import (
    TEMPERATURE,
    Embedded,
    accuracy,
    chosen_c,
    fit,
    neighbours,
    shots,
    split,
)
from seedbed.evaluate.probes import probe
from seedbed.evaluate.test_set import open_test_set


def clouds(seed: int, per_class: int = 60, dim: int = 16, num_classes: int = 5) -> Embedded:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(0, 1, (num_classes, dim))
    labels = rng.permutation(np.repeat(np.arange(num_classes), per_class))
    features = centres[labels] + rng.normal(0, 1.6, (len(labels), dim))
    return Embedded(features / np.linalg.norm(features, axis=1, keepdims=True), labels, num_classes)


@pytest.mark.parametrize("c", [1e-3, 0.316, 10.0, 1e4])
def test_a_fit_is_scikit_learns(c: float) -> None:
    train, test = clouds(0), clouds(1)
    theirs = LogisticRegression(C=c, max_iter=5_000, tol=1e-9).fit(train.features, train.labels)
    ours = fit(train, c)
    shown = ours.scores(test.features)
    expected = theirs.decision_function(test.features)
    # A constant for all classes is free in both.
    assert shown - shown.mean(1, keepdims=True) == pytest.approx(
        expected - expected.mean(1, keepdims=True), rel=2e-3, abs=2e-3 * np.abs(expected).max()
    )
    assert accuracy(ours, test) == pytest.approx(
        theirs.score(test.features, test.labels), abs=0.004
    )


@pytest.mark.slow
def test_c_is_within_a_fifth_of_a_point_of_the_best_of_the_whole_grid() -> None:
    train = clouds(0)
    fitted, judged = split(train, 0.2, 0)
    grid = np.logspace(-6, 6, 97)[::4]
    best = max(accuracy(fit(fitted, float(c)), judged) for c in grid)
    assert accuracy(fit(fitted, chosen_c(train)), judged) >= best - 0.002


def test_the_split_and_the_shots_take_of_every_class() -> None:
    train = clouds(0)
    fitted, judged = split(train, 0.2, 0)
    assert np.bincount(judged.labels).tolist() == [12] * 5
    assert np.bincount(fitted.labels).tolist() == [48] * 5
    assert np.bincount(shots(train, 4, 0).labels).tolist() == [4] * 5
    with pytest.raises(DataError, match="at most 60 shots"):
        shots(train, 61, 0)


def test_neighbours_vote_as_scikit_learns_do() -> None:
    train, test = clouds(0), clouds(1)

    def votes(distances: np.ndarray) -> np.ndarray:
        return np.exp((1 - distances) / TEMPERATURE)

    theirs = KNeighborsClassifier(20, metric="cosine", weights=votes).fit(
        train.features, train.labels
    )
    assert (neighbours(train, test) == theirs.predict(test.features)).all()


@pytest.mark.slow
def test_a_probe_of_a_model_beats_chance_and_says_how_it_was_made(
    classification: Path, tiny: Callable[[int], str]
) -> None:
    encoder = OpenClipEncoder.named(tiny(0))
    (found,) = probe([encoder], open_test_set(str(classification)))
    assert found.values["lp_acc1"] > 0.5 and found.values["knn_acc1"] > 0.5
    assert set(found.values) == {
        "lp_acc1",
        "knn_acc1",
        "shots1_acc1",
        "shots4_acc1",
        "shots16_acc1",
    }
    assert found.protocol["c"] > 0 and found.protocol["train"] != found.protocol["test_set"]
