"""A trial: one cell and seed, and what it computes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from seedbed.recipe.recipe import Recipe, content_key
from seedbed.study.cell import Cell

DATA_FIELDS = ("corpus", "augment", "seed", "image.size", "text.context", "budget.batch")


@dataclass(frozen=True)
class Trial:
    """One cell and seed with its resolved recipe, keyed by the recipe's content."""

    cell: Cell
    recipe: Recipe

    @property
    def seed(self) -> int:
        return self.recipe.seed

    @cached_property
    def key(self) -> str:
        return self.recipe.key()

    @cached_property
    def stream_key(self) -> str:
        """Equal for trials that read the same batches: what a cohort shares."""
        flat = self.recipe.flatten()
        shared: dict[str, Any] = {
            path: value
            for path, value in flat.items()
            if any(path == name or path.startswith(f"{name}.") for name in DATA_FIELDS)
        }
        return content_key(shared)

    @property
    def name(self) -> str:
        """`depth=3 s=0`, for people."""
        return f"{self.cell} s={self.seed}"
