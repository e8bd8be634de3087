"""A plan's cells and the model of them: the weights of every effect and claim, and their errors.

Every seed trains every cell, so a comparison's variance is that of one trial over the seeds, times
its weights on the cells' means, squared and summed; a seed's own shift cancels. Means over other
factors count their levels equally, as in the report.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from seedbed.plan.design import ORDER, PlannedFactor
from seedbed.plan.plan import Plan
from seedbed.plan.weighing import Columns, Crossed, Floats, Weights
from seedbed.study.arguments import ERRORS
from seedbed.study.cell import Cell
from seedbed.study.claim import Claim
from seedbed.study.contrast import Contrast
from seedbed.study.fold import FoldedOver
from seedbed.study.label import Label, label_text

# With two seeds a pooled error of fewer degrees of freedom is not used: see `analyze/stats/fit.py`.
LEAST_POOLED_DF, FEWEST_SEEDS_BY_CELL = 6, 3
_MOST_CELLS = 200  # above which degrees of freedom are many, whatever the model


@dataclass(frozen=True)
class PlannedContrast:
    """A difference of cells' means: `weights` on them, None where the cells cannot tell it apart.
    `term` names what it is a part of, `depth` or `depth:supervision`."""

    term: str
    words: str
    weights: Weights | None

    @property
    def variance(self) -> float:
        """Of its estimate at one seed, in variances of a trial."""
        return math.nan if self.weights is None else self.weights.variance()


class Cells:
    """The cells of a design, and the linear model that the report will fit to them."""

    def __init__(
        self,
        factors: Mapping[str, PlannedFactor],
        cells: Sequence[Cell],
        order: int = ORDER,
        error: str = ERRORS[0],
        seed_is_unit: bool = False,
        halves: Sequence[int] = (),
    ) -> None:
        """`halves` [num_cells]: of a fraction that is folded over, blocks within each seed."""
        self.factors, self.cells, self.order, self.error = factors, tuple(cells), order, error
        self.seed_is_unit, self.halves = seed_is_unit, tuple(halves)
        blocked = len(set(self.halves)) > 1
        self._crossed = None if blocked else Crossed.of(factors, self.cells, order)
        self._inverses: dict[int, Floats] = {}

    @cached_property
    def _columns(self) -> Columns:
        # Not where the closed form holds: of 50 x 50 levels they take minutes.
        return Columns(self.factors, self.cells, self.order, self.halves)

    @property
    def rank(self) -> int:
        return (self._crossed or self._columns).rank

    def weights(
        self, plus: Iterable[Mapping[str, Label]], less: Iterable[Mapping[str, Label]]
    ) -> Weights | None:
        """Of the sum of marginal means `plus` less those of `less`, on the cells' means."""
        plus, less = list(plus), list(less)
        if self._crossed is not None and self._crossed.holds([*plus, *less]):
            return self._crossed.weights(plus, less)
        return self._columns.weights(plus, less)

    def main_effects(self) -> list[PlannedContrast]:
        """Every level against its factor's baseline."""
        return [
            PlannedContrast(
                name,
                f"{label_text(level)} minus {label_text(factor.baseline)}",
                self._main_effect(name, level, factor.baseline),
            )
            for name, factor in self.factors.items()
            for level in _others(factor)
        ]

    def _main_effect(self, name: str, level: Label, baseline: Label) -> Weights | None:
        """Where cells are missing, over the others that have both levels, as in the report."""
        found = self.weights([{name: level}], [{name: baseline}])
        if found is not None:
            return found
        sides = [
            {cell.without(name): cell for cell in self.cells if label_text(cell[name]) == text}
            for text in map(label_text, (level, baseline))
        ]
        both = sides[0].keys() & sides[1].keys()
        if not both:
            return None
        found = self.weights(*([side[rest] for rest in both] for side in sides))
        return None if found is None else found.over(len(both))

    def interactions(self) -> list[PlannedContrast]:
        """Of every pair of factors, how much a difference changes with the other one's level."""
        if self.order < 2:
            return []
        return [
            PlannedContrast(
                f"{a}:{b}",
                f"{label_text(one)} at {label_text(other)}",
                self.weights(
                    [{a: one, b: other}, {a: first.baseline, b: second.baseline}],
                    [{a: first.baseline, b: other}, {a: one, b: second.baseline}],
                ),
            )
            for (a, first), (b, second) in itertools.combinations(self.factors.items(), 2)
            for one in _others(first)
            for other in _others(second)
        ]

    def simple_effects(self) -> list[PlannedContrast]:
        """Every level against its factor's baseline, at one level of another factor."""
        if self.order < 2:
            return []
        return [
            PlannedContrast(
                f"{a} at one {b}",
                f"{label_text(one)} at {label_text(held)}",
                self.weights([{a: one, b: held}], [{a: first.baseline, b: held}]),
            )
            for (a, first), (b, second) in itertools.permutations(self.factors.items(), 2)
            for one in _others(first)
            for held in second.levels
        ]

    def contrast(self, claim: Claim, one: Contrast) -> PlannedContrast:
        """A claim's contrast, in the model that holds as many crossed factors as it names."""
        plus = [{one.of: one.level, **one.at}]
        less = [{one.of: one.over, **one.at}]
        if one.less_at:
            plus.append({one.of: one.over, **one.less_at})
            less.append({one.of: one.level, **one.less_at})
        model = self.deeper(max(ORDER, 1 + len(one.at)))
        return PlannedContrast(claim.id, claim.statement, model.weights(plus, less))

    def deeper(self, order: int) -> Cells:
        """The same cells under a model of another order."""
        if order == self.order:
            return self
        return Cells(self.factors, self.cells, order, self.error, self.seed_is_unit, self.halves)

    def df(self, one: PlannedContrast, num_seeds: int) -> float:
        """Degrees of freedom of a comparison's error, as the report will choose it; 0 for none."""
        blocks = (num_seeds - 1) * max(1, len(set(self.halves)))
        pooled = num_seeds * len(self.cells) - self.rank - blocks
        if num_seeds < 2 or pooled <= 0 or one.weights is None:
            return 0.0
        if num_seeds < FEWEST_SEEDS_BY_CELL:
            return float(pooled) if pooled >= LEAST_POOLED_DF else 0.0
        if self.error == "pooled":
            return float(pooled)
        by_seed = float(num_seeds - 1)
        if self.seed_is_unit:
            return by_seed
        return min(float(pooled), max(by_seed, self._satterthwaite(one.weights, num_seeds)))

    def _satterthwaite(self, weights: Weights, num_seeds: int) -> float:
        """Of an error with a variance for each cell, where these are in truth the same.

        The report finds fewer, since it puts estimated variances in: for the squares of two sums of
        squares with f degrees of freedom each, their expectations are 1 + 2 / f times as large.
        """
        true = self._true_satterthwaite(weights, num_seeds)
        return (true + 2) / (1 + 2 / (num_seeds - 1))

    def _true_satterthwaite(self, weights: Weights, num_seeds: int) -> float:
        """The number with the variances as they are."""
        squares = weights.values**2
        if len(self.cells) > _MOST_CELLS:
            return (num_seeds - 1) * float(squares.sum() ** 2 / (squares @ squares))
        if num_seeds not in self._inverses:
            summed = self._residual_squares(num_seeds)
            inverse = np.linalg.pinv(summed, rcond=1e-8, hermitian=True)
            self._inverses[num_seeds] = np.asarray(inverse, dtype=np.float64)
        own = self._inverses[num_seeds][np.ix_(weights.cells, weights.cells)]
        return float(squares.sum() ** 2 / (squares @ own @ squares))

    def _residual_squares(self, num_seeds: int) -> Floats:
        """Squares of the residuals' projection, summed over the seeds of pairs of cells.

        Its entry for cells c, d and seeds s, t is a[c, d] where s = t, and b[c, d] everywhere.
        """
        number = np.array(self.halves or [0] * len(self.cells))
        same_half = (number[:, None] == number).astype(np.float64)
        mean = same_half / same_half.sum(axis=0)  # of a block
        a = np.eye(len(self.cells)) - mean
        b = (mean - self._columns.hat()) / num_seeds
        return np.asarray(num_seeds * a**2 + 2 * num_seeds * a * b + num_seeds**2 * b**2)


def planned_cells(plan: Plan) -> Cells:
    """The cells of a plan, with the error that the report will choose for them."""
    study, cells = plan.study, list(dict.fromkeys(trial.cell for trial in plan.trials))
    order = ORDER if study.design is None else study.design.order
    folded = study.design if isinstance(study.design, FoldedOver) else None
    halves = [folded.half(cell, study.factors) for cell in cells] if folded else []
    unit = _shares_streams(plan)
    return Cells(plan.factors(), cells, order, study.error, unit, halves)


def _shares_streams(plan: Plan) -> bool:
    """Whether trials of one seed read several streams, each shared by some of them: such are whole
    plots, and the report takes the seed for the unit."""
    members: dict[int, dict[str, int]] = {}
    for trial in plan.trials:
        streams = members.setdefault(trial.seed, {})
        streams[trial.stream_key] = streams.get(trial.stream_key, 0) + 1
    several = any(len(streams) > 1 for streams in members.values())
    return several and any(n > 1 for streams in members.values() for n in streams.values())


def _others(factor: PlannedFactor) -> list[Label]:
    base = label_text(factor.baseline)
    return [level for level in factor.levels if label_text(level) != base]
