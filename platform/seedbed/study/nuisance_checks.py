"""Whether what a study tunes fits its recipes, its factors and its seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from seedbed.errors import StudyError, nearest
from seedbed.recipe.paths import overlap
from seedbed.recipe.recipe import Recipe
from seedbed.study.factor import Factor
from seedbed.study.nuisance import Nuisance, Search

# What a cell trains on is no matter of tuning: more samples are no better recipe.
NEVER = ("seed", "budget.samples", "budget.batch")


def check_nuisance(
    nuisance: Nuisance,
    factors: Sequence[Factor],
    recipes: Iterable[Recipe],
    responses: Sequence[str],
    settings: Iterable[str] = (),
) -> None:
    """Raise StudyError where the spaces fit no recipe, or something else sets their fields too.

    `recipes` are the cells'; `settings` are fields that are set by hand.
    """
    if nuisance.tuning.response not in ("", *responses):
        raise StudyError(
            f"Tuning.response is '{nuisance.tuning.response}'",
            why="candidates are judged by a response of the study",
            mend=nearest(nuisance.tuning.response, responses),
        )
    for search in nuisance.space:
        if search.at in NEVER:
            raise StudyError(
                f"'{search.at}' is a nuisance field",
                why="cells would train on different batches, or for different times, and be "
                "compared nonetheless",
                mend="make it a factor, or leave it in the recipe",
            )
        owners = [f"Factor '{f.name}'" for f in factors for p in f.paths if overlap(p, search.at)]
        owners += [f"--set {path}" for path in settings if overlap(path, search.at)]
        if owners:
            raise StudyError(
                f"'{search.at}' is tuned, and set by {owners[0]}",
                why="the tuned value would replace that one",
                mend="compare the field or tune it, not both",
            )
    for recipe in recipes:
        for search in nuisance.space:
            _check_space(search, recipe)


def check_fresh(nuisance: Nuisance, seeds: Iterable[int]) -> None:
    """Raise StudyError where a seed of the search is one of the comparison, too."""
    both = set(seeds) & set(nuisance.seeds)
    if both:
        raise StudyError(
            f"the seed {min(both)} is one of the search and of the comparison",
            why="a value was chosen because it did well with that seed: compared by it, it would "
            "look better than it is",
            mend="give Tuning.seeds other numbers",
        )


def _check_space(search: Search, recipe: Recipe) -> None:
    own = recipe.get(search.at)
    if isinstance(own, bool) or not isinstance(own, int | float):
        raise StudyError(
            f"Search('{search.at}'): the field is {own!r}",
            why="numbers are searched",
            mend="search a field that holds one, as optimizer.lr",
        )
    for end in (search.low, search.high):
        try:
            recipe.patch(search.at, end)
        except StudyError as error:
            raise StudyError(
                f"Search('{search.at}') reaches to {end!r}: {error.what}",
                why=error.why,
                mend=error.mend or "narrow the space",
            ) from None
