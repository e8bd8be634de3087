"""The metrics that a trial's record holds, each with its name for people: one list.

Whoever writes another metric declares it here; a study can then ask for it as a response.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from seedbed.errors import StudyError, nearest

if TYPE_CHECKING:
    from seedbed.recipe.recipe import Recipe

LABELS = {
    # Of the held-out pairs: see `seedbed.evaluate.tasks`.
    "zeroshot/top1": "Zero-shot top-1",
    "zeroshot/top5": "Zero-shot top-5",
    "zeroshot/top1_of_100": "Zero-shot top-1 of 100",
    "zeroshot/num_images": "Held-out pictures",
    "zeroshot/num_names": "Names of held-out pictures",
    # What the trial took: see `seedbed.run.worker.recording`.
    "cost/device_hours": "Device-hours",
    "cost/pflop": "Arithmetic (PFLOP)",
    "cost/train_seconds": "Training seconds (wall clock)",
    "cost/startup_seconds": "Start-up seconds (wall clock)",
    "cost/shared_seconds": "Shared seconds (wall clock)",
    "cost/samples": "Samples",
    "cost/image_views": "Image views",
    "cost/text_tokens": "Text tokens",
    "cost/num_params": "Parameters",
    # What it read.
    "data/bad_samples": "Bad samples",
    "data/bad_test_samples": "Bad held-out samples",
    "data/num_samples": "Pairs to train on",
    # The last point of its curve.
    "final/loss": "Final training loss",
    "final/lr": "Final learning rate",
}
_REMOVED = "data/removed/"  # and the number and name of a step of the corpus' selection


def measured(recipes: Iterable[Recipe]) -> set[str]:
    """The names of the metrics that trials of `recipes` record, without the steps' of corpora."""
    names = set(LABELS)
    for objective in {recipe.objective for recipe in recipes}:
        names |= {f"final/loss_{name}" for name, _ in objective.present()}
        names |= {f"final/scale_{one.name}" for one in objective.temperatures}
    return names


def check_responses(responses: Sequence[str], recipes: Iterable[Recipe]) -> None:
    """Raise StudyError for a response that no trial of `recipes` records, and for one twice."""
    known = measured(recipes)
    for name in responses:
        if not isinstance(name, str):
            raise StudyError(
                f"the response {name!r} is no metric",
                why="a metric is named by a text",
                mend='for example "zeroshot/top1"',
            )
        if name not in known and not name.startswith(_REMOVED):
            raise StudyError(
                f"no trial measures the response '{name}'",
                why="it would be missing in every trial, after all of them had been trained",
                mend=nearest(name, known),
            )
        if list(responses).count(name) > 1:
            raise StudyError(
                f"the response '{name}' is given twice",
                why="its columns could not be told apart",
                mend="give each response once",
            )
