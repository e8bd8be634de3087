"""Probes: what can be read from frozen embeddings of pictures, linearly or from neighbours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from seedbed.errors import DataError
from seedbed.evaluate.encoder import Encoder
from seedbed.evaluate.stream import BATCH, parts
from seedbed.evaluate.test_set import TestSet

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

# Radford et al. 2021, appendix A.3: C between 1e-6 and 1e6, 96 steps on a logarithmic scale, the
# peak found by halving steps; at most 1,000 iterations of L-BFGS.
LEAST, MOST, STEPS, FIRST_STEP = -6.0, 6.0, 96, 16
ITERATIONS = 1_000
VALIDATION = 0.2  # of the training examples of each class, to choose C by
SHOT_C = 0.316  # where there is nothing to choose by: that of CLIP's own example
NEIGHBOURS, TEMPERATURE = 20, 0.07  # Wu et al. 2018 (arXiv:1805.01978); Caron et al. 2021


@dataclass(frozen=True)
class Embedded:
    """Embeddings of pictures [n, d], in double precision, and their labels [n]."""

    features: Floats
    labels: Labels
    num_classes: int

    @property
    def is_finite(self) -> bool:
        """Whether all embeddings are numbers: those that are all zero have no direction."""
        return bool(np.isfinite(self.features).all())


@dataclass(frozen=True)
class Linear:
    """A multinomial logistic regression: `weights` [classes, d], `bias` [classes]."""

    weights: Floats
    bias: Floats
    c: float

    def scores(self, features: Floats) -> Floats:
        found: Floats = features @ self.weights.T + self.bias
        return found


def embedded(
    encoders: Sequence[Encoder], test_set: TestSet, *, batch: int = BATCH
) -> list[Embedded]:
    """Each model's embeddings of a split, normalised; all read one stream of pictures."""
    labels: list[int] = []
    rows: list[list[Floats]] = [[] for _ in encoders]
    for part in parts(test_set, encoders, batch=batch):
        labels += [example.label for example in part.examples]
        for place, encoder in enumerate(encoders):
            found = encoder.embed_images(part.pictures[place]).double().numpy()
            rows[place].append(found / np.linalg.norm(found, axis=1, keepdims=True))
    truth = np.array(labels, np.int64)
    return [Embedded(np.concatenate(own), truth, len(test_set.classes)) for own in rows]


def fit(train: Embedded, c: float) -> Linear:
    """The regression that minimises c times the summed loss and half the squared weights.

    The bias is not punished. L-BFGS from 0 until the gradient is small: the minimum is the only
    one, so that it does not depend on the way there.
    """
    features, truth = torch.from_numpy(train.features), torch.from_numpy(train.labels)
    weights = torch.zeros(train.num_classes, features.shape[1], dtype=torch.float64)
    bias = torch.zeros(train.num_classes, dtype=torch.float64)
    weights.requires_grad_(), bias.requires_grad_()
    # Divided by c where that is large, so that one tolerance suits all.
    scale = max(1.0, c)
    search = torch.optim.LBFGS(
        [weights, bias],
        max_iter=ITERATIONS,
        max_eval=2 * ITERATIONS,
        tolerance_grad=1e-6,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )

    def loss() -> float:
        search.zero_grad()
        total = F.cross_entropy(features @ weights.T + bias, truth, reduction="sum")
        value = (c * total + 0.5 * (weights**2).sum()) / scale
        value.backward()  # type: ignore[no-untyped-call]
        return value.item()

    search.step(loss)  # type: ignore[no-untyped-call]
    return Linear(weights.detach().numpy(), bias.detach().numpy(), c)


def chosen_c(train: Embedded, seed: int = 0) -> float:
    """C by its accuracy on a part of the training examples that the fit does not see."""
    fitted, judged = split(train, VALIDATION, seed)
    values = np.logspace(LEAST, MOST, STEPS + 1)
    known: dict[int, float] = {}

    def right(place: int) -> float:
        if place not in known:
            known[place] = accuracy(fit(fitted, float(values[place])), judged)
        return known[place]

    step = FIRST_STEP
    best = max(range(0, STEPS + 1, step), key=lambda place: (right(place), -place))
    while step > 1:
        step //= 2
        near = [p for p in (best - step, best, best + step) if 0 <= p <= STEPS]
        best = max(near, key=lambda place: (right(place), -place))
    return float(values[best])


def split(whole: Embedded, part: float, seed: int) -> tuple[Embedded, Embedded]:
    """The rest and a `part` of each class, at least one example of each in both where it can be."""
    rng, taken = np.random.default_rng(seed), []
    for label in range(whole.num_classes):
        own = rng.permutation(np.flatnonzero(whole.labels == label))
        taken.append(own[: min(max(1, round(part * len(own))), max(0, len(own) - 1))])
    judged = np.zeros(len(whole.labels), bool)
    judged[np.concatenate(taken)] = True
    return _rows(whole, ~judged), _rows(whole, judged)


def shots(whole: Embedded, num: int, seed: int) -> Embedded:
    """`num` examples of each class. Raises DataError for a class with fewer."""
    rng, taken = np.random.default_rng(seed), []
    for label in range(whole.num_classes):
        own = np.flatnonzero(whole.labels == label)
        if len(own) < num:
            raise DataError(
                f"class {label} has {len(own)} training pictures",
                why=f"{num} shots take so many of each class",
                mend=f"ask for at most {len(own)} shots",
            )
        taken.append(rng.permutation(own)[:num])
    return _rows(whole, np.sort(np.concatenate(taken)))


def neighbours(train: Embedded, test: Embedded, k: int = NEIGHBOURS) -> Labels:
    """The label that the `k` nearest training pictures vote for [n], each by exp(cosine / T)."""
    votes = np.empty(len(test.labels), np.int64)
    k = min(k, len(train.labels))
    for first in range(0, len(votes), 512):
        cosines = test.features[first : first + 512] @ train.features.T
        nearest = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
        weights = np.exp(np.take_along_axis(cosines, nearest, axis=1) / TEMPERATURE)
        tally = np.zeros((len(nearest), train.num_classes))
        np.add.at(tally, (np.arange(len(nearest))[:, None], train.labels[nearest]), weights)
        votes[first : first + 512] = tally.argmax(1)
    return votes


def accuracy(linear: Linear, test: Embedded) -> float:
    """The share of the examples whose own class scores highest."""
    if not len(test.labels):
        return math.nan
    return float((linear.scores(test.features).argmax(1) == test.labels).mean())


def _rows(whole: Embedded, rows: NDArray[np.generic]) -> Embedded:
    return Embedded(whole.features[rows], whole.labels[rows], whole.num_classes)
