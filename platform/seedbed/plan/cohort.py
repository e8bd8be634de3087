"""Cohorts: trials that train side by side on one stream of batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seedbed.data.render.augmentation import Asset, all_assets
from seedbed.errors import StudyError
from seedbed.plan.ladder import grouped
from seedbed.recipe.recipe import Recipe, content_key
from seedbed.study.trial import Trial

COHORT_SIZE = 8  # variants of one stream: bounded by the device's memory


@dataclass(frozen=True)
class Cohort:
    """Trials that train side by side on one stream of batches."""

    trials: tuple[Trial, ...]

    @property
    def id(self) -> str:
        """Named by its members' keys, so that the same cohort finds its checkpoint again."""
        return content_key({trial.key: 1 for trial in self.trials})

    @property
    def recipe(self) -> Recipe:
        """A recipe with the data fields that all members share."""
        return self.trials[0].recipe

    @property
    def assets(self) -> tuple[Asset, ...]:
        """What the views of its members need beside the samples."""
        return all_assets(trial.recipe for trial in self.trials)

    @property
    def samples(self) -> int:
        """Samples the stream must deliver: the longest member's budget, in whole batches."""
        return max(t.recipe.budget.steps for t in self.trials) * self.recipe.budget.batch


def cohorts_of(trials: Sequence[Trial], cohort_size: int) -> tuple[Cohort, ...]:
    """Group trials that read the same batches, at most `cohort_size` together, evenly."""
    if cohort_size < 1:
        raise StudyError(
            f"--cohort-size is {cohort_size}",
            why="a cohort trains one variant or more on one stream",
            mend="give 1 or more",
        )
    streams: dict[str, list[Trial]] = {}
    for trial in trials:
        streams.setdefault(trial.stream_key, []).append(trial)
    cohorts: list[Cohort] = []
    for members in streams.values():
        cohorts += [Cohort(group) for group in grouped(members, cohort_size)]
    return tuple(cohorts)
