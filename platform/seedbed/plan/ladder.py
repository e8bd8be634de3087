"""Ladders: trials that differ in their budget alone, and share what they compute until they decay.

Where the rate stays until a late decay ("wsd"), two budgets have the same steps until the smaller
one decays. So they are rungs of one run: its trunk is trained once, and at each rung a copy of
weights, moments and random state decays by itself. Each rung is what its recipe gives when it is
trained alone. Under a cosine to 0 every step depends on the budget: rungs are separate runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from seedbed.recipe.recipe import Recipe, content_key
from seedbed.study.trial import Trial

SAMPLES = "budget.samples"  # the field that the rungs of a ladder differ in


@dataclass(frozen=True)
class Branch:
    """Where a trial leaves its trunk: after `step` steps of the trial with the key `trunk`."""

    trunk: str
    step: int


def stable_steps(recipe: Recipe) -> int:
    """The first steps, whose rate is the same for every longer budget."""
    return min(recipe.budget.steps, math.ceil(recipe.stable_samples / recipe.budget.batch))


def ladders_of(trials: Iterable[Trial]) -> list[tuple[Trial, ...]]:
    """`trials` by what they share, each ladder by its budget, ascending; most are alone.

    In the order of their first members.
    """
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        found.setdefault(_trunk_key(trial), []).append(trial)
    return [tuple(sorted(own, key=lambda t: t.recipe.budget.samples)) for own in found.values()]


def branches_of(trials: Iterable[Trial]) -> dict[str, Branch]:
    """Of those of `trials` that share the steps of a longer one, by their keys."""
    return {
        trial.key: Branch(ladder[-1].key, stable_steps(trial.recipe))
        for ladder in ladders_of(trial for trial in trials if trial.recipe.stable_samples)
        for trial in ladder[:-1]
    }


def own_shares(trials: Iterable[Trial]) -> dict[str, float]:
    """Of each trial, by its key, the share of its steps that no longer one of `trials` computes."""
    trials = list(trials)
    branches, steps = branches_of(trials), {t.key: t.recipe.budget.steps for t in trials}
    return {
        key: 1 - branches[key].step / num if key in branches else 1.0 for key, num in steps.items()
    }


def own_flops(trials: Iterable[Trial], flops: Mapping[str, float]) -> float:
    """What `trials` compute together, of which `flops` has what each would alone, by its key."""
    return sum(flops[key] * share for key, share in own_shares(trials).items())


def grouped(trials: Sequence[Trial], size: int) -> list[tuple[Trial, ...]]:
    """`trials` in as few groups of at most `size` as can be, evenly, ladders in one where they fit.

    A ladder that is cut is trained in parts, each with a trunk of its own: no number changes.
    """
    units = ladders_of(trials)
    if any(len(unit) > size for unit in units):
        units = [(trial,) for trial in trials]
    for num in range(-(-len(trials) // size), len(units) + 1):
        groups = [tuple(t for unit in units[part::num] for t in unit) for part in range(num)]
        if all(len(group) <= size for group in groups):
            return groups
    return []


def _trunk_key(trial: Trial) -> str:
    if not trial.recipe.stable_samples:
        return trial.key
    return content_key({p: v for p, v in trial.flat.items() if p != SAMPLES} | {"role": trial.role})
