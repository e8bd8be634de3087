"""What an evaluation found of one model on one test set, and how it is written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedbed.evaluate.scores import Scores

Z = 1.959963984540054  # of a 95 % interval


@dataclass(frozen=True)
class Outcome:
    """`values` by clip_benchmark's names of metrics; `chance` is what guessing gives of them.

    `scores` has the examples one by one, and `protocol` what else decides the numbers. A value is a
    share of the examples, or of so many as `queries` says of it; `intervals` are of those that are
    no plain share.
    """

    model: str
    test_set: str
    task: str
    values: Mapping[str, float]
    chance: Mapping[str, float]
    scores: Scores
    protocol: Mapping[str, Any] = field(default_factory=dict)
    queries: Mapping[str, int] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    pretrained: str = ""  # the weights of `model`, where that is an architecture

    @property
    def num_examples(self) -> int:
        return len(self.scores.ids)

    @property
    def known(self) -> dict[str, float]:
        """The values that there are: top-5 of five classes is none."""
        return {name: value for name, value in self.values.items() if not math.isnan(value)}

    def interval(self, metric: str) -> tuple[float, float]:
        """The 95 % interval of a value, over other test sets of this size.

        Of a share Wilson's (1927, JASA 22:209). It says nothing of other seeds of training.
        """
        return self.intervals.get(metric) or wilson(self.values[metric], self.n_of(metric))

    def n_of(self, metric: str) -> int:
        """Of how many examples, or queries, it is a share."""
        return self.queries.get(metric, self.num_examples)

    def to_json(self) -> dict[str, Any]:
        """In the form of clip_benchmark's results, with what they leave out beside it."""
        return {
            "dataset": self.test_set,
            "model": self.model,
            "pretrained": self.pretrained,
            "task": self.task,
            "metrics": self.known,
            "language": "en",
            "n": self.num_examples,
            "n_of": {name: self.n_of(name) for name in self.known},
            "chance": {name: self.chance[name] for name in self.known},
            "interval": {name: self.interval(name) for name in self.known},
            "protocol": dict(self.protocol),
        }


def wilson(share: float, n: float) -> tuple[float, float]:
    """The 95 % interval of a share of `n` examples, which may be an effective number."""
    middle = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def wilson_of_mean(shares: Sequence[float], ns: Sequence[int]) -> tuple[float, float]:
    """The 95 % interval of the mean of the `shares` of independent classes, each of so many
    examples.

    Wilson's, of as many examples as would leave the mean as uncertain as it is: of each class the
    variance of its share, drawn to the mean of all by two examples, for of few a class may have
    none right.
    """
    share, n = np.asarray(shares, np.float64), np.asarray(ns, np.float64)
    mean, drawn = float(share.mean()), (share * n + 2 * share.mean()) / (n + 2)
    variance = float((drawn * (1 - drawn) / n).sum()) / len(n) ** 2
    least = len(n) ** 2 / float((1 / n).sum())  # where no class differs from another
    return wilson(mean, _as_many(mean, variance, least))


def wilson_of_groups(right: NDArray[Any], group: NDArray[Any]) -> tuple[float, float]:
    """The 95 % interval of the share of `right` [n] queries of which those of a `group` [n] go
    together: Wilson's, of as many as would leave the share as uncertain as its groups do."""
    _, group = np.unique(group, return_inverse=True)
    share, num_groups = float(right.mean()), int(group.max()) + 1
    apart = np.bincount(group, weights=right - share)
    variance = float((apart**2).sum()) / len(right) ** 2 * num_groups / max(1, num_groups - 1)
    n = _as_many(share, variance, num_groups)
    return wilson(share, min(n, len(right)))


def _as_many(share: float, variance: float, least: float) -> float:
    """How many independent examples have a share of this variance, `least` at least."""
    return max(least, share * (1 - share) / variance) if variance > 0 else least
