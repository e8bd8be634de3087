"""Evaluation tasks, one a file; every trained model is evaluated on all of them."""

from __future__ import annotations

import functools
from typing import Any

from seedbed.evaluate.task import Task
from seedbed.found import classes_in
from seedbed.metric import Metric


@functools.cache
def all_tasks() -> tuple[Task[Any], ...]:
    """Every task of this folder, by the name of its file."""
    return tuple(kind() for _, kind in classes_in(__name__, Task))


def all_metrics() -> tuple[Metric, ...]:
    """What the tasks measure."""
    return tuple(metric for task in all_tasks() for metric in task.metrics)


def task_of(metric: str) -> Task[Any] | None:
    """The task that declares the metric of this name; None for one that no task measures."""
    declaring = (task for task in all_tasks() if metric in {m.name for m in task.metrics})
    return next(declaring, None)


def names_needed() -> dict[str, int]:
    """The number of different captions that a metric needs, by metric."""
    return {name: n for task in all_tasks() for name, n in task.names_needed.items()}
