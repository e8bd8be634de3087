"""Confounded factors: what else the levels of a factor change beside its main part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from seedbed.recipe.paths import overlap
from seedbed.study.factor import Factor
from seedbed.study.label import Label
from seedbed.study.study import Study
from seedbed.study.trial import Trial


class Planned(Protocol):
    """A study and its trials, as a plan has them."""

    @property
    def study(self) -> Study: ...

    @property
    def trials(self) -> Sequence[Trial]: ...

    @property
    def nuisance_paths(self) -> Sequence[str]: ...


VIEWS = "views"  # stands among the fields for the views that the terms read


def moved_together(plan: Planned, read: Mapping[str, object] | None = None) -> dict[str, list[str]]:
    """By factor, the recipe fields beside its main part that differ between its levels.

    The main part is the recipe's at the root of the factor's first path: `objective` where its
    levels set the objective and a learning rate. Fields are compared as the scale leaves them,
    between trials that differ in this factor only. `views` is among them where the levels read
    different views of a sample (`read` is the answer of `views_read`, if known). Factors that
    change one part only are left out, and so are nuisance fields: each cell has its own best value.
    """
    read = views_read(plan) if read is None else read
    by_factor = {}
    trials = _of_one_seed(plan)
    for factor in plan.study.factors:
        first_path = next(iter(next(iter(factor.levels.values()))), "")
        groups = [[trial.flat for trial in group] for group in _alike(factor, trials)]
        moved = {path for group in groups for path in _differing(group)}
        if not groups:  # a fraction: no two trials differ in this factor only
            moved = {
                path
                for path in _differing([trial.flat for trial in trials])
                if any(overlap(path, own) for own in factor.paths)
            }
        root = first_path.partition(".")[0]
        moved = {path for path in moved if path.partition(".")[0] != root}
        moved -= set(plan.nuisance_paths)
        if factor.name in read:
            moved.add(VIEWS)
        if moved:
            by_factor[factor.name] = sorted(moved)
    return by_factor


def views_read(plan: Planned) -> dict[str, dict[Label, tuple[str, ...]]]:
    """For each factor whose levels read different views, the views that each level reads.

    Trials that differ in this factor only are compared; a fraction has no such trials, so there all
    trials of each level are.
    """
    trials = _of_one_seed(plan)
    views = {t.key: frozenset(v.name for v in t.recipe.objective.views) for t in trials}
    by_factor: dict[str, dict[Label, tuple[str, ...]]] = {}
    for factor in plan.study.factors:
        levels: dict[Label, frozenset[str]] = dict.fromkeys(factor.levels, frozenset())
        for trial in trials:
            levels[trial.cell[factor.name]] |= views[trial.key]
        groups = _alike(factor, trials)
        differ = any(len({views[trial.key] for trial in group}) > 1 for group in groups)
        if differ or (not groups and len(set(levels.values())) > 1):
            by_factor[factor.name] = {label: tuple(sorted(read)) for label, read in levels.items()}
    return by_factor


def _of_one_seed(plan: Planned) -> list[Trial]:
    """All cells once: every seed trains the same, and of 10,000 trials that is most of the time."""
    first = plan.trials[0].seed
    return [trial for trial in plan.trials if trial.seed == first]


def _alike(factor: Factor, trials: Sequence[Trial]) -> list[list[Trial]]:
    """Groups of two trials of a seed or more that differ in `factor` only."""
    groups: dict[object, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.cell.without(factor.name), []).append(trial)
    return [group for group in groups.values() if len(group) > 1]


def _differing(recipes: Sequence[Mapping[str, Any]]) -> set[str]:
    """The fields that are not the same in all `recipes`; an absent one differs from any."""
    first = recipes[0].items()
    return {path for recipe in recipes[1:] for path, _ in recipe.items() ^ first}
