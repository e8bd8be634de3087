"""A variant scored by the tasks of its study: at its end, and while it trains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from seedbed.evaluate.scores import Scores
from seedbed.evaluate.task import Ranking, Task, run_together
from seedbed.model.gather import of_every_rank
from seedbed.model.pretrainer import Pretrainer
from seedbed.run.worker.cohort import CohortTraining
from seedbed.run.worker.message import CurvePoint
from seedbed.run.worker.variant import Variant

Tasks = Iterable[tuple[Task[Any], Any]]


def scored(variant: Variant, asked: Tasks) -> Iterator[tuple[Task[Any], Scores]]:
    """All ranks' scores by every task that suits the model; called by all ranks together.

    The variant trains on as if nobody had looked: its weights, mode and random state are what they
    were, and running statistics of several ranks are agreed on, which training never reads.
    """
    variant.agree()
    for task, mine in _found(variant.model, tuple(asked)):
        if mine is not None:
            yield task, Scores.joined(of_every_rank(mine))


def _found(
    model: Pretrainer, asked: Sequence[tuple[Task[Any], Any]]
) -> Iterator[tuple[Task[Any], Scores | None]]:
    """This rank's scores: first by the tasks that share a pass over the same pictures."""
    together: dict[int, list[tuple[Ranking[Any], Any]]] = {}
    for task, part in asked:
        if isinstance(task, Ranking):
            together.setdefault(id(task.pairs(part).images), []).append((task, part))
    for group in together.values():
        for (task, _), scores in zip(group, run_together(model, group), strict=True):
            yield task, scores
    for task, part in asked:
        if not isinstance(task, Ranking):
            yield task, task.run(model, part)


class Validation:
    """Scores the variants that train every so many samples, as points of their curves.

    A model whose scores are no numbers has no point: it may recover, and its end decides.
    """

    def __init__(self, every: int, asked: Tasks) -> None:
        self.every, self.asked = every, tuple(asked)

    def is_due(self, training: CohortTraining) -> bool:
        """Whether it is time after this step: by samples alone, so that all workers agree, also one
        whose variants have all ended before its neighbours'."""
        batch = training.cohort.recipe.budget.batch
        if not self.every:
            return False
        # In whole steps: after the first step that has seen as many as were asked for.
        return training.samples_seen // self.every > (training.samples_seen - batch) // self.every

    def points(self, training: CohortTraining) -> list[CurvePoint]:
        """A point for each variant that goes on; they stand on its curve from now on."""
        found = []
        for key, variant in training.variants.items():
            if not variant.active:  # it is scored at its end
                continue
            metrics: dict[str, float] = {}
            for task, scores in scored(variant, self.asked):
                if not scores.num_not_finite:
                    shares = {m.name for m in task.metrics if m.is_share}
                    values = task.values(scores).items()
                    metrics |= {name: value for name, value in values if name in shares}
            if metrics:
                variant.curve.append({"samples": variant.samples_seen, **metrics})
                seen = variant.samples_seen
                found += [CurvePoint(rider, seen, metrics) for rider in training.riders(key)]
        return found
