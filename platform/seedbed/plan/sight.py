"""What a plan can see at its seeds: the smallest differences that are found, and how many seeds
would find smaller ones."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from seedbed.plan.cells import Cells, PlannedContrast
from seedbed.plan.power import detectable_difference

POWER = 0.8
_MOST_SEEDS = 2_000  # that are looked through for how many would see an effect


@dataclass(frozen=True)
class Sight:
    """What a design sees at `num_seeds`, where trials of a cell vary by `noise` within a seed."""

    cells: Cells
    noise: float
    num_seeds: int

    def se(self, one: PlannedContrast, num_seeds: int = 0) -> float:
        """The standard error of a comparison."""
        return self.noise * math.sqrt(one.variance / (num_seeds or self.num_seeds))

    def detectable(self, one: PlannedContrast, num_seeds: int = 0, alpha: float = 0.05) -> float:
        """The smallest true difference that is found with a power of 80 %; NaN for none."""
        seeds = num_seeds or self.num_seeds
        df = self.cells.df(one, seeds)
        if not df:
            return math.nan
        return detectable_difference(self.se(one, seeds), df, power=POWER, alpha=alpha)

    def seeds_to_see(self, one: PlannedContrast, wanted: float) -> int:
        """The fewest seeds at which `wanted` is found with a power of 80 %; 0 for none."""
        if one.weights is None:
            return 0
        # A normal test would need so many; a t test a few more.
        normal = (2.8015852 * self.noise / wanted) ** 2 * one.variance
        for seeds in range(max(2, math.floor(normal)), _MOST_SEEDS):
            if self.detectable(one, seeds) <= wanted:
                return seeds
        return 0


def worst(sight: Sight, comparisons: Iterable[PlannedContrast], num_seeds: int = 0) -> float:
    """The largest of what they detect; NaN where one of them has no error."""
    found = [sight.detectable(one, num_seeds) for one in comparisons]
    return math.nan if not found or any(map(math.isnan, found)) else max(found)
