"""Where trials start from: trained weights, kept with the results and read by every worker."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from seedbed.recipe.recipe import Recipe
from seedbed.storage.folder import Folder

if TYPE_CHECKING:
    from seedbed.interchange.source import Source
    from seedbed.model.pretrainer import Pretrainer


def check_starts(recipes: Iterable[Recipe], store: Folder) -> None:
    """Raise DataError, naming tensors and fields, where what some of `recipes` start from does not
    fit them. Nothing is built but shapes."""
    wanted = [recipe for recipe in recipes if recipe.init_from]
    if not wanted:
        return
    import torch

    from seedbed.interchange.described import Described
    from seedbed.interchange.imported import start_from

    read: dict[str, Source] = {}
    checked: set[tuple[object, ...]] = set()
    for recipe in wanted:
        described = Described.of(recipe)
        if (recipe.init_from, described, recipe.freeze) in checked:
            continue
        checked.add((recipe.init_from, described, recipe.freeze))
        if recipe.init_from not in read:
            read[recipe.init_from] = _source(recipe.init_from, store)
        with torch.device("meta"):
            model = described.build(freeze=recipe.freeze)
        start_from(read[recipe.init_from], described, model)


def _source(said: str, store: Folder) -> Source:
    """From the copy with the results, where there is one: the original may be gone by now."""
    from seedbed.interchange.source import is_kept, kept, source_of

    return kept(store, said) if is_kept(store, said) else source_of(said)


def copy_starts(recipes: Iterable[Recipe], store: Folder) -> None:
    """Copy what `recipes` start from into the results folder, once each, for every node."""
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
