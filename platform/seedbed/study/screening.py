"""A screening: candidates of a search that are stopped before their budget, rung by rung."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from seedbed.checks import is_number, number, numbers, refused
from seedbed.recipe.recipe import Recipe


@dataclass(frozen=True)
class Screening:
    """Successive halving of the candidates of a cell (Li et al. 2020, ASHA, arXiv 1810.05934).

    At each of `rungs`, shares of the budget, the best `keep` of a cell's candidates go on; those
    that are left at the last are trained to the whole budget, and one of them is chosen. A rung is
    a training of its own to so many samples, with the learning rate brought down by its end: what
    would be seen of a longer one halfway is another thing.

    Only candidates are screened. What is compared is trained anew, with other seeds, to its end.
    """

    rungs: Sequence[float] = (1 / 9, 1 / 3)
    keep: float = 1 / 3

    def __post_init__(self) -> None:
        numbers(self, "keep", above=0, below=1, why="it is the share that goes on")
        why = "rungs are shares of the budget, the shortest first"
        given: Any = self.rungs
        if isinstance(given, str) or not isinstance(given, Sequence) or not given:
            raise refused(self, "rungs", why, "give rungs=(1 / 9, 1 / 3)")
        rungs = tuple(number("Screening.rungs", r, above=0, below=1, why=why) for r in given)
        if list(rungs) != sorted(set(rungs)):
            raise refused(self, "rungs", why, f"give rungs={tuple(sorted(set(rungs)))}")
        object.__setattr__(self, "rungs", rungs)

    @property
    def shares(self) -> tuple[float, ...]:
        """Of the budget, of every training: the rungs, and the whole."""
        return (*self.rungs, 1.0)

    def sizes(self, num: int) -> tuple[int, ...]:
        """How many of `num` candidates are trained to each of `shares`, if none fail or tie."""
        found = [num]
        for _ in self.rungs:
            # Those at the quantile or above it, which lies between two of them.
            found.append(found[-1] - math.ceil((1 - self.keep) * (found[-1] - 1) - 1e-9))
        return tuple(found)

    def cost(self, num: int) -> float:
        """Of `num` candidates, in trainings to the whole budget."""
        return sum(size * share for size, share in zip(self.sizes(num), self.shares, strict=True))

    @property
    def words(self) -> str:
        rungs = " and ".join(f"{100 * rung:.3g} %" for rung in self.rungs)
        return f"screened at {rungs} of the budget, of which {100 * self.keep:.3g} % go on"

    def to_json(self) -> dict[str, Any]:
        return {"rungs": list(self.rungs), "keep": self.keep}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Screening:
        return cls(**values)


def to_rung(recipe: Recipe, share: float) -> Recipe:
    """`recipe` trained to a share of its samples, in whole batches, its warm-up in proportion."""
    budget = recipe.budget
    if not is_number(share) or share >= 1:
        return recipe
    samples = max(1, round(share * budget.samples / budget.batch)) * budget.batch
    warmup = min(int(budget.warmup_samples * samples / budget.samples), samples - 1)
    return replace(recipe, budget=replace(budget, samples=samples, warmup_samples=warmup))
