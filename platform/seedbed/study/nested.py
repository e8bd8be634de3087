"""Factors within levels of another: a queue's size, which only some supervision has."""

from __future__ import annotations

from collections.abc import Sequence

from seedbed.errors import StudyError, nearest
from seedbed.recipe.recipe import Recipe
from seedbed.study.constraint import Forbidden
from seedbed.study.factor import Factor
from seedbed.study.label import label_text


def nested_rules(factors: Sequence[Factor], base: Recipe) -> tuple[Forbidden, ...]:
    """What leaves a nested factor one level, its baseline, in the cells that it says nothing of.

    Raises StudyError for one that is nested in no factor before it, in a level that is none, or in
    all of them.
    """
    rules = []
    for place, factor in enumerate(factors):
        for outer, labels in factor.within.items():
            own = _outer(factor, outer, labels, factors[:place])
            inside = set(map(label_text, labels))
            others = tuple(one for one in own.levels if label_text(one) not in inside)
            baseline = factor.baseline(base)
            rest = tuple(one for one in factor.levels if one != baseline)
            where = "|".join(map(label_text, labels))
            why = (
                f"'{factor.name}' is nested in {outer}={where}, and says nothing elsewhere, where "
                f"it stands at {label_text(baseline)}"
            )
            rules.append(Forbidden({outer: others, factor.name: rest}, why))
    return tuple(rules)


def _outer(
    factor: Factor, outer: str, labels: Sequence[object], before: Sequence[Factor]
) -> Factor:
    named = {one.name: one for one in before}
    if outer not in named:
        raise StudyError(
            f"Factor '{factor.name}' is within '{outer}'",
            why="what it is nested in is set first: it must be a factor before it",
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
    return named[outer]
