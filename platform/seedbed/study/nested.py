"""Factors within levels of another: a queue's size, which only some supervision has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seedbed.errors import StudyError, nearest
from seedbed.recipe.paths import beneath
from seedbed.recipe.recipe import Recipe
from seedbed.study.constraint import Forbidden
from seedbed.study.factor import Factor
from seedbed.study.label import label_text


def nested_rules(factors: Sequence[Factor], base: Recipe) -> tuple[Forbidden, ...]:
    """What leaves a nested factor one level, its baseline, in the cells that it says nothing of."""
    named, rules = {factor.name: factor for factor in factors}, []
    for factor in factors:
        for outer, labels in factor.within.items():
            inside = set(map(label_text, labels))
            others = tuple(one for one in named[outer].levels if label_text(one) not in inside)
            baseline = factor.baseline(base)
            rest = tuple(one for one in factor.levels if one != baseline)
            where = "|".join(map(label_text, labels))
            why = (
                f"'{factor.name}' is nested in {outer}={where}, and says nothing elsewhere, where "
                f"it stands at {label_text(baseline)}"
            )
            if others and rest:  # of a design that leaves levels out none may be left
                rules.append(Forbidden({outer: others, factor.name: rest}, why, True))
    return tuple(rules)


def check_nested(factors: Sequence[Factor], base: Recipe) -> None:
    """Raise StudyError for a factor that is nested in none before it, in a level that is none, in
    all of them, or that sets what other cells have too."""
    for place, factor in enumerate(factors):
        for outer, labels in factor.within.items():
            _check_levels(factor, outer, labels, factors[:place])
            own = next(one for one in factors if one.name == outer)
            _check_fields(factor, own, labels, base)


def _check_levels(
    factor: Factor, outer: str, labels: Sequence[Any], before: Sequence[Factor]
) -> None:
    named = {one.name: one for one in before if not one.within}
    if outer not in named:
        raise StudyError(
            f"Factor '{factor.name}' is within '{outer}'",
            why="what it is nested in is set first: a factor before it, and itself in none",
            mend=nearest(outer, named) if named else f"give Factor('{outer}', ...) before it",
        )
    known = {label_text(one) for one in named[outer].levels}
    for label in map(label_text, labels):
        if label not in known:
            raise StudyError(
                f"Factor '{factor.name}' is within {outer}={label}",
                why=f"'{outer}' has no such level",
                mend=nearest(label, known),
            )
    if known <= set(map(label_text, labels)):
        raise StudyError(
            f"Factor '{factor.name}' is within every level of '{outer}'",
            why="then it is crossed with it",
            mend="leave out `within`",
        )


def _check_fields(factor: Factor, outer: Factor, labels: Sequence[Any], base: Recipe) -> None:
    """Where it says nothing there must be nothing: else a cell would be called by a value that it
    does not have."""
    inside = set(map(label_text, labels))
    for path in sorted(factor.paths):
        root = next((own for own in outer.paths if beneath(path, own) and path != own), "")
        having = [
            label
            for label, patch in outer.levels.items()
            if label_text(label) not in inside and _has(base, patch.get(root), root, path)
        ]
        if not root or having:
            also = f"{outer.name}={label_text(having[0])}" if having else "every other cell"
            raise StudyError(
                f"Factor '{factor.name}' within '{outer.name}' sets {path}, which {also} has too",
                why="that cell would be called by a value that it does not have, and be compared "
                "with those that have it",
                mend="cross it (leave out `within`), tune it for every cell (nuisance=...), or set "
                f"it in the levels of '{outer.name}' themselves",
            )


def _has(base: Recipe, value: Any, root: str, path: str) -> bool:
    """Whether a recipe whose `root` is `value` has a field at `path`."""
    if value is None:
        return False
    try:
        base.patch(root, value).get(path)
    except StudyError:
        return False
    return True
