"""What a task is: an evaluation that is run on every trained model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from seedbed.evaluate.scores import Scores
from seedbed.metric import Metric

if TYPE_CHECKING:
    from seedbed.data.render.render import TestSet
    from seedbed.evaluate.ranking import Counter
    from seedbed.model.pretrainer import Pretrainer


@dataclass(frozen=True)
class Pairs:
    """One rank's part of the pictures that a task scores: uint8 [n, S, S, 3], their captions [n]
    and ids [n].

    Of the held-out pairs, or of the task's own pictures, whose captions are what it says of them.
    `names` are the different captions of all ranks' parts, sorted; `context` is the number of
    token ids that a model reads of a caption.
    """

    images: NDArray[np.uint8]
    captions: tuple[str, ...]
    ids: NDArray[np.int64]
    names: tuple[str, ...]
    context: int


@dataclass(frozen=True)
class Own:
    """Pictures that a task brings: `mark` tells them from others, and `size` is their side.

    `render` makes them, some at a time, so that they are never in memory together.
    """

    mark: str
    size: int
    render: Callable[[], Iterator[TestSet]]


Given = TypeVar("Given")  # what a task prepares of a rank's pictures, once for all models


class Task(ABC, Generic[Given]):
    """One evaluation. A file in `evaluate/tasks/` defines one, and is found by walking the folder.

    The file must be cheap to import (no torch): a study is checked against its metrics where it
    is written. All numbers are counted from the `Scores` of all ranks, so that they do not depend
    on how many ranks there are.
    """

    # All that `values` may return; one counted example by example names its column of `file`.
    metrics: tuple[Metric, ...]
    file: str  # beside a trial's record, with the examples one by one; its own
    examples: str  # what an example is called, in the plural
    # Whether it compares pictures with captions, which only a model trained to align them can.
    needs_alignment: ClassVar[bool] = False
    # By metric, how many different captions it needs (top-5 needs 6); any number if not named.
    names_needed: Mapping[str, int] = MappingProxyType({})

    @property
    def own(self) -> Own | None:
        """The pictures that it brings; None for one that is scored on the held-out pairs."""
        return None

    @abstractmethod
    def prepare(self, pairs: Pairs) -> Given:
        """What the rank scores every model on, of its part of the held-out pairs or of `own`:
        made once, the same for all models. Raises DataError for pictures that give no result."""

    @abstractmethod
    def run(self, model: Pretrainer, part: Given) -> Scores | None:
        """Score one rank's part; None, on every rank, for a model that the task does not apply to.

        Leaves the model as it was: its mode, its weights and the random state.
        """

    def result(self, name: str, model: Pretrainer, scores: Scores) -> dict[str, Any] | None:
        """What is kept beside the table of examples of the model `name`: n, chance and interval of
        each metric, and the protocol. None where the record's metrics say it all."""
        return None

    def values(self, scores: Scores) -> dict[str, float]:
        """The metrics of all ranks' scores, without those that need more names than there are."""
        return {
            metric.name: scores.share(metric.column, metric.below)
            for metric in self.metrics
            if metric.column and scores.num_names >= self.names_needed.get(metric.name, 0)
        }


class Ranking(Task[Given]):
    """A task that counts in the scores of pictures and the captions of all.

    Tasks of this kind on the same pictures share one pass of a model over them: `run_together`.
    """

    needs_alignment = True

    @abstractmethod
    def pairs(self, part: Given) -> Pairs:
        """The pictures of a part, ranked among its `names`."""

    @abstractmethod
    def counter(self, part: Given) -> Counter:
        """A new one, which is shown the scores of all these pictures."""

    @abstractmethod
    def counted(self, part: Given, counter: Any, num_not_finite: int) -> Scores:
        """What `counter` made of them; so many have a score that is not finite."""

    def run(self, model: Pretrainer, part: Given) -> Scores | None:
        return run_together(model, [(self, part)])[0]


def run_together(
    model: Pretrainer, asked: Sequence[tuple[Ranking[Any], Any]]
) -> list[Scores | None]:
    """Each task's scores of its part, of parts that have the same pictures, as its own `run`."""
    from seedbed.evaluate.ranking import count

    counters = [task.counter(part) for task, part in asked]
    pairs = asked[0][0].pairs(asked[0][1])
    bad = count(model, pairs.images, pairs.names, pairs.context, counters)
    if bad is None:
        return [None] * len(asked)
    return [
        task.counted(part, counter, bad)
        for (task, part), counter in zip(asked, counters, strict=True)
    ]
