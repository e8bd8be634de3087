"""Evaluation tasks, one a file; every trained model is evaluated on all of them."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from typing import Any

from seedbed.evaluate.task import Task
from seedbed.metric import Metric


@functools.cache
def all_tasks() -> tuple[Task[Any], ...]:
    """Every task of this folder, by the name of its file."""
    tasks: list[Task[Any]] = []
    for entry in sorted(pkgutil.iter_modules(__path__), key=lambda entry: entry.name):
        module = importlib.import_module(f"{__name__}.{entry.name}")
        tasks += [
            kind()
            for _, kind in inspect.getmembers(module, inspect.isclass)
            if issubclass(kind, Task) and kind.__module__ == module.__name__
        ]
    return tuple(tasks)


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
