"""What a trial comes to over all of its test sets: the plain mean of top-1, and that above chance.

It must be cheap to import (no torch): a study is checked against its metrics where it is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from seedbed.metric import Metric

# As DataComp averages its 38 (Gadre et al. 2023, arXiv:2304.14108, section 3.5).
MEAN = Metric("tasks/mean_acc1", "Mean top-1 of the test sets", "share")
# (top-1 - chance) / (1 - chance), averaged: 0 is guessing on each, however few classes it has.
ABOVE_CHANCE = Metric("tasks/mean_above_chance", "Mean top-1 above chance", "share")
NUM_TESTS = Metric("tasks/num_tests", "Test sets", "count")
MEANS = (MEAN, ABOVE_CHANCE)
OVER_TESTS = (*MEANS, NUM_TESTS)


def above_chance(accuracy: float, chance: float) -> float:
    """The share of what guessing leaves to be had; below 0 for less than guessing."""
    return (accuracy - chance) / (1 - chance)


def means_over(metrics: Mapping[str, float], tests: Iterable[str]) -> dict[str, float]:
    """The means over the test sets of these names, of which `metrics` has top-1 and the number of
    classes; none of fewer than two."""
    own = [
        (metrics[f"{name}/acc1"], 1 / metrics[f"{name}/num_names"])
        for name in tests
        if f"{name}/acc1" in metrics and metrics.get(f"{name}/num_names", 0) > 1
    ]
    if len(own) < 2:
        return {}
    return {
        MEAN.name: sum(accuracy for accuracy, _ in own) / len(own),
        ABOVE_CHANCE.name: sum(above_chance(*one) for one in own) / len(own),
        NUM_TESTS.name: float(len(own)),
    }
