"""What trials start from, looked at before anything else starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seedbed.commands.study.options import Options


def check_starts_of(options: Options) -> None:
    """Raise DataError where trained weights do not fit the trials that are to start from them."""
    recipes = [trial.recipe for trial in options.plan.trials if trial.recipe.init_from]
    if not recipes or options.surface is not None:
        return
    from seedbed.interchange.beginning import check_starts
    from seedbed.storage.folder import Folder

    check_starts(recipes, Folder(options.storage).sub(*options.folder))
