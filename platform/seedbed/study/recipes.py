"""The recipes of a study's cells: what runs in each of them at a scale."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from seedbed.errors import StudyError
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.resolve import Resolver, Said
from seedbed.recipe.scale import SCALES, Scale
from seedbed.study.cell import Cell
from seedbed.study.factor import Factor

ScalePatches = Mapping[str, Mapping[str, Any]]


def recipes_at(
    scale: Scale,
    base: Recipe,
    factors: Sequence[Factor],
    scales: ScalePatches,
    overrides: Mapping[str, Any] | None = None,
) -> Callable[[Cell], Recipe]:
    """Gives the recipe of a cell at `scale`; `scales` are a study's own patches of them.

    It raises StudyError, naming whose patches fail.
    """
    resolver = Resolver(base, scale)
    own = Said(f"scale '{scale.name}'", scales.get(scale.name, {}))
    by_hand = Said("--set", overrides or {}, literal=True)
    levels = {
        f.name: {label: Said(f"Factor '{f.name}'", p, f.varied) for label, p in f.levels.items()}
        for f in factors
    }

    nested = {f.name: f for f in factors if f.within}

    def recipe(cell: Cell) -> Recipe:
        # In the factors' order: a nested one sets a part of what the one before it has set.
        of_levels = [
            levels[name][cell[name]]
            for name in levels
            if name in cell and (name not in nested or nested[name].applies(cell))
        ]
        return resolver.recipe([own, *of_levels, by_hand])

    return recipe


def somewhere(
    base: Recipe, factors: Sequence[Factor], scales: ScalePatches
) -> Callable[[Cell], Recipe]:
    """Gives the recipe of a cell at the largest scale at which it is valid.

    It raises the largest scale's error where it is valid at none.
    """
    each = [recipes_at(scale, base, factors, scales) for scale in reversed(SCALES.values())]

    def first(cell: Cell) -> Recipe:
        refused: list[StudyError] = []
        for recipe in each:
            try:
                return recipe(cell)
            except StudyError as error:
                refused.append(error)
        raise refused[0]

    return first


def everywhere(
    base: Recipe, factors: Sequence[Factor], scales: ScalePatches, cells: Sequence[Cell]
) -> Iterator[Recipe]:
    """The recipe of every cell at every scale at which it is valid."""
    each = [recipes_at(scale, base, factors, scales) for scale in SCALES.values()]
    for cell in cells:
        for recipe in each:
            with suppress(StudyError):
                yield recipe(cell)
