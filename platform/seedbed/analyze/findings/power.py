"""The power of a plan's seeds on a response surface: by the closed form, and in drawn studies."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from seedbed.analyze.findings.drawn import (
    Drawn,
    Target,
    claimed,
    draw,
    interaction,
    main_effect,
    verdicts,
)
from seedbed.analyze.stats.margins import lies
from seedbed.plan.cells import Cells, PlannedContrast, planned_cells
from seedbed.plan.plan import Plan
from seedbed.plan.power import side_power, t_power, within_power
from seedbed.plan.surface import Surface
from seedbed.study.claim import Claim
from seedbed.study.contrast import Contrast


@dataclass(frozen=True)
class Found:
    """Of an effect: what was planted, and how often it is found by the closed form (NaN for none),
    in the draws, and where trials are lost."""

    term: str
    comparison: str
    planted: float
    closed: float
    drawn: float
    lost: float


@dataclass(frozen=True)
class Judged:
    """Of a claim: whether it is true of the surface, how often the closed form supports it, which
    of several contrasts can only be bounded from above, and what the draws made of it."""

    claim: str
    true: bool
    closed: float
    supported: float
    refuted: float
    supported_lost: float
    refuted_lost: float


class Power:
    """The power of a plan's seeds on a surface, by both ways."""

    def __init__(self, plan: Plan, surface: Surface, draws: int, lost: float) -> None:
        self.plan, self.surface, self.num_draws, self.lost = plan, surface, draws, lost
        self.cells: Cells = planned_cells(plan)
        self.design = plan.design()
        self.num_seeds = len(self.design.seeds)

    def effects(self) -> list[Found]:
        """Every level against its baseline, and every interaction, of the primary response."""
        factors, order = self.design.factors, self.design.order
        asked: list[Target] = []
        for name, factor in factors.items():
            others = [level for level in factor.levels if level != factor.baseline]
            asked += [main_effect(name, level, factor.baseline, order) for level in others]
        ours = list(self.cells.main_effects())
        if pairs := self.cells.interactions():
            ours += pairs
            for (a, first), (b, second) in itertools.combinations(factors.items(), 2):
                asked += [
                    interaction(a, (one, first.baseline), b, (other, second.baseline))
                    for one in first.levels
                    for other in second.levels
                    if one != first.baseline and other != second.baseline
                ]
        whole, less = self._both(self.surface, asked, self.plan.responses[0])
        found = []
        for place, one in enumerate(ours):
            planted, se, df = self._truth(one, self.surface)
            closed = t_power(planted, se, df) if df and se > 0 else math.nan
            rates = whole.found(place), less.found(place)
            found.append(Found(one.term, one.words, planted, closed, *rates))
        return found

    def claims(self) -> list[Judged]:
        """Those that this scale can judge, of responses that a surface draws."""
        found = []
        for claim in self.plan.judged_claims:
            response = claim.response or self.plan.responses[0]
            if self.plan.metrics[response].is_cost:
                continue
            surface = self._surface_of(response)
            asked = [claimed(one) for one in claim.contrasts]
            whole, less = self._both(surface, asked, response)
            ours = [self.cells.contrast(claim, one) for one in claim.contrasts]
            truths = [self._truth(one, surface) for one in ours]
            holds = [
                lies(truth, truth, one.direction, one.margin)
                for one, (truth, _, _) in zip(claim.contrasts, truths, strict=True)
            ]
            places = range(len(asked))
            found.append(
                Judged(
                    claim.id, all(holds), _supported(claim, truths),
                    *verdicts(whole, places, claim), *verdicts(less, places, claim),
                )
            )  # fmt: skip
        return found

    def _both(
        self, surface: Surface, asked: Sequence[Target], response: str
    ) -> tuple[Drawn, Drawn]:
        """The draws of whole studies, and of such that lost trials."""

        def drawn(lost: float) -> Drawn:
            return draw(
                self.design,
                surface,
                asked,
                draws=self.num_draws,
                lost=lost,
                seed_is_unit=self.cells.seed_is_unit,
                is_share=self.plan.metrics[response].is_share,
            )

        whole = drawn(0.0)
        return whole, drawn(self.lost) if self.lost else whole

    def _surface_of(self, response: str) -> Surface:
        """What is planted in a response."""
        if response == self.plan.responses[0]:
            return self.surface
        return replace(self.surface, effects=dict(self.surface.others.get(response, {})))

    def _truth(self, one: PlannedContrast, surface: Surface) -> tuple[float, float, float]:
        """What a comparison is on the surface, its standard error and degrees of freedom there."""
        if one.weights is None:
            return math.nan, math.nan, 0.0
        values = np.array([surface.value(cell) for cell in self.cells.cells])
        spreads = np.array([surface.spread(cell) for cell in self.cells.cells])
        se = math.sqrt(one.weights.variance(spreads**2) / self.num_seeds)
        return one.weights.total(values), se, self.cells.df(one, self.num_seeds)


def _supported(claim: Claim, truths: Sequence[tuple[float, float, float]]) -> float:
    """How often the closed form supports a claim: of several contrasts, the least likely."""
    each = [
        _contrast_supported(one, claim.alpha, *truth)
        for one, truth in zip(claim.contrasts, truths, strict=True)
    ]
    return math.nan if any(map(math.isnan, each)) else min(each)


def _contrast_supported(one: Contrast, alpha: float, truth: float, se: float, df: float) -> float:
    if not df or not se > 0:
        return math.nan
    if one.direction == "within":
        return within_power(truth, one.margin, se, df, alpha=alpha)
    beyond = truth - one.margin if one.direction == "above" else one.margin - truth
    return side_power(beyond, se, df, alpha=alpha)
