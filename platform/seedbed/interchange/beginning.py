"""Where trials start from: trained weights, kept with the results and read by every worker."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from seedbed.recipe.recipe import Recipe
from seedbed.storage.folder import Folder

if TYPE_CHECKING:
    from seedbed.interchange.source import Source
    from seedbed.model.pretrainer import Pretrainer


def copy_starts(recipes: Iterable[Recipe], store: Folder) -> None:
    """Copy what `recipes` start from into the results folder, once each, for every node.

    Raises DataError before anything trains where some do not fit.
    """
    from seedbed.interchange.source import keep

    for said in dict.fromkeys(recipe.init_from for recipe in recipes):
        if said:
            keep(store, said)


def begin(models: Iterable[tuple[Recipe, Pretrainer]], store: Folder) -> None:
    """Give each of the untrained `models` what its recipe starts from, as `copy_starts` left it.

    Raises DataError, naming tensors, where the weights do not fit a recipe.
    """
    from seedbed.interchange.described import Described
    from seedbed.interchange.imported import start_from
    from seedbed.interchange.source import kept

    read: dict[str, Source] = {}
    for recipe, model in models:
        if recipe.init_from:
            if recipe.init_from not in read:
                read[recipe.init_from] = kept(store, recipe.init_from)
            start_from(read[recipe.init_from], Described.of(recipe), model)
