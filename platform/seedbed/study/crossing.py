"""Factors that are crossed: none may set what another sets, nor what `--set` sets."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from seedbed.errors import StudyError
from seedbed.recipe.paths import overlap
from seedbed.study.cell import Cell
from seedbed.study.factor import Factor

MOST_SEEN = 200_000  # combinations that are looked at for those that are allowed: a second's worth


def crossed(factors: Sequence[Factor]) -> Iterator[Cell]:
    """Every combination of levels, the last factor varying fastest."""
    labels = [[(factor.name, label) for label in factor.levels] for factor in factors]
    return map(Cell, itertools.product(*labels))


def some_of(
    factors: Sequence[Factor], allowed: Callable[[Cell], bool], most: int
) -> list[Cell] | None:
    """The combinations that are `allowed`; None where they are more than `most`.

    Of more than MOST_SEEN combinations none is looked at.
    """
    if math.prod(len(factor.levels) for factor in factors) > MOST_SEEN:
        return None
    found = list(itertools.islice(filter(allowed, crossed(factors)), most + 1))
    return found if len(found) <= most else None


def check_crossing(study: str, factors: Sequence[Factor]) -> None:
    """Raise StudyError where two factors have one name or set one field, or one sets the seed."""
    for name, count in Counter(factor.name for factor in factors).items():
        if count > 1:
            raise StudyError(
                f"study '{study}' has two factors named '{name}'",
                why="their columns could not be told apart",
                mend="rename one of them",
            )
    for one, other in itertools.combinations(factors, 2):
        if one.name in other.within:  # which sets a part of it alone: see `nested`
            continue
        both = [p for p in one.paths if any(overlap(p, q) for q in other.paths)]
        if both:
            raise StudyError(
                f"the factors '{one.name}' and '{other.name}' both set {min(both)}",
                why="the one applied last would win, and the other would vary nothing",
                mend="let each recipe field be set by one factor",
            )
    for factor in factors:
        if "seed" in factor.paths:
            raise StudyError(
                f"Factor '{factor.name}' varies the seed",
                why="seeds are the study's repetitions, not a factor of it",
                mend="give Study(seeds=...) instead",
            )


def check_overrides(paths: Iterable[str], factors: Sequence[Factor]) -> None:
    """Raise StudyError where a `--set` would set the seed, or a field that a factor varies."""
    for path in paths:
        if path == "seed":
            raise StudyError(
                "--set seed: seeds are the study's repetitions",
                why="every cell is trained once for each seed",
                mend="give --seeds N",
            )
        for factor in factors:
            if any(overlap(path, own) for own in factor.paths):
                raise StudyError(
                    f"--set {path}: the factor '{factor.name}' varies that field",
                    why="the factor's levels would overwrite it in every trial",
                    mend="set another field, or change the factor's levels",
                )
