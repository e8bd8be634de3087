"""A trial: one cell and seed, and what it computes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

from seedbed.errors import StudyError
from seedbed.recipe.recipe import Recipe, Value, content_key
from seedbed.study.cell import Cell

SEARCH = "search"  # the role of a trial that tunes: it is never compared
DATA_FIELDS = ("corpus", "augment", "seed", "image.size", "text.context", "budget.batch")
# Of the streams of a study's trials, which are few: by their parts, which are kept alive.
MOST_STREAMS = 4_096
_streams: dict[tuple[object, ...], tuple[object, object, str]] = {}


@dataclass(frozen=True)
class Trial:
    """One cell and seed with its resolved recipe, keyed by the recipe's content.

    `searched` are the nuisance fields of which it tries values: such a trial has a role of its own,
    in its key too, so that it never stands for one that is compared.
    """

    cell: Cell
    recipe: Recipe
    searched: tuple[str, ...] = ()

    @property
    def role(self) -> str:
        return SEARCH if self.searched else ""

    @property
    def seed(self) -> int:
        return self.recipe.seed

    @cached_property
    def flat(self) -> dict[str, Value]:
        """The recipe's fields by path, cached: keys, cohorts and the design are made of them."""
        return self.recipe.flatten()

    def reseeded(self, seed: int) -> Trial:
        """The same cell with another seed."""
        if seed == self.seed:
            return self
        recipe = copy.copy(self.recipe)  # checked already: a seed fits whatever else it has
        object.__setattr__(recipe, "seed", seed)
        return replace(self, recipe=recipe)

    @cached_property
    def key(self) -> str:
        return self.recipe.key(**({"role": self.role} if self.searched else {}))

    @cached_property
    def stream_key(self) -> str:
        """Equal for trials that read the same batches: what a cohort shares."""
        recipe = self.recipe
        parts = recipe.corpus, recipe.augment
        others = recipe.seed, recipe.image.size, recipe.text.context, recipe.budget.batch
        said = (*map(id, parts), *others)
        known = _streams.get(said)
        if known is None or known[0] is not parts[0] or known[1] is not parts[1]:
            if len(_streams) >= MOST_STREAMS:
                _streams.clear()
            key = content_key({path: v for path, v in self.flat.items() if _is_of_data(path)})
            known = _streams[said] = (*parts, key)
        return known[2]

    @property
    def name(self) -> str:
        """`depth=3 s=0`, for people."""
        tried = "".join(f"{p.rpartition('.')[2]}={self.flat[p]:g} " for p in self.searched)
        return f"{self.cell} {tried}s={self.seed}"


def check_distinct(trials: Sequence[Trial]) -> None:
    """Raise StudyError where two of a study's trials compute the same."""
    by_key: dict[str, Trial] = {}
    for trial in trials:
        other = by_key.setdefault(trial.key, trial)
        if other is not trial:
            raise StudyError(
                f"the trials '{other.name}' and '{trial.name}' are the same recipe",
                why="two cells that compute the same thing cannot differ",
                mend="remove one of the levels, or the --set that makes them equal",
            )


def with_digest(recipe: Recipe) -> Recipe:
    """`recipe` with the digest of the weights that it starts from, which its key is made of."""
    if not recipe.init_from:
        return recipe
    from seedbed.interchange.source import identified

    return replace(recipe, init_from=identified(recipe.init_from))


@cache
def _is_of_data(path: str) -> bool:
    """Whether trials that differ in this field read other batches."""
    return any(path == name or path.startswith(f"{name}.") for name in DATA_FIELDS)
