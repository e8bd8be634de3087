"""Effects against the budget: at each budget, as a trend, and what is known of the next."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from seedbed.analyze.findings.budget_cells import Wanted, weights_in
from seedbed.analyze.findings.budget_effects import AgainstBudget, BudgetEffect, Crossing
from seedbed.analyze.stats.chosen_error import block_of, chosen_error
from seedbed.analyze.stats.comparison import Estimate
from seedbed.analyze.stats.fit import Fit
from seedbed.analyze.stats.halves import spans_halves, without_blocks
from seedbed.analyze.stats.means import compared
from seedbed.analyze.stats.trend import Cell, Trend, crossing, fit_trend, next_budget
from seedbed.analyze.trials.foreign import SAMPLES
from seedbed.analyze.trials.observations import AnalysisError, completed, label_text, observe
from seedbed.plan.design import Design
from seedbed.study.factor import TRAINING


def budgets_of(design: Design) -> tuple[str, dict[Any, float]]:
    """The factor that is the budget, and the number of each of its levels; "" for none.

    Its levels may set more of how a trial is trained, as a warm-up. One that sets something else
    too, or batches at equal samples, is no budget.
    """
    for name, factor in design.factors.items():
        paths = factor.at.split(", ")
        if SAMPLES in paths and all(path.partition(".")[0] in TRAINING for path in paths):
            found = {t.cell[name]: t.recipe.get(SAMPLES) for t in design.trials}
            numbers = {label: float(n) for label, n in found.items() if isinstance(n, int | float)}
            if len(paths) == 1 or len(set(numbers.values())) == len(factor.levels):
                return name, dict(sorted(numbers.items(), key=lambda pair: pair[1]))
    return "", {}


def against_budget(
    design: Design, trials: pd.DataFrame, response: str, factors: Mapping[str, Sequence[Any]]
) -> AgainstBudget | None:
    """Of a study with a budget of two levels or more beside another factor; else nothing.

    `factors` have their baseline first.
    """
    name, numbers = budgets_of(design)
    others = [other for other in factors if other != name]
    if not name or len(numbers) < 2 or not others:
        return None
    seen = _Seen(design, trials, response, {n: list(factors[n]) for n in others}, name, numbers)
    if seen.trend is None:
        return None
    return AgainstBudget(
        name=name,
        labels=tuple(numbers),
        numbers=tuple(numbers.values()),
        ahead=seen.ahead,
        effects=tuple(seen.effects()),
        crossings=tuple(seen.crossings()),
        df=seen.trend.df,
        own_error=seen.whole is not None and not seen.whole.error.refusal,
    )


@dataclass(frozen=True)
class _Seen:
    """The completed trials of one response, cell by cell and budget by budget."""

    design: Design
    trials: pd.DataFrame
    response: str
    factors: dict[str, list[Any]]  # without the budget
    name: str
    numbers: dict[Any, float]

    @cached_property
    def ahead(self) -> float:
        return next_budget(list(self.numbers.values()))

    @cached_property
    def done(self) -> pd.DataFrame:
        """What bare means are taken of: without what a seed, or its half of a fraction, shares."""
        trials = without_blocks(self.design, self.trials, self.response)
        rows = trials[completed(trials)]
        values = pd.to_numeric(rows[self.response], errors="coerce").astype(float)
        return rows.assign(**{self.response: values})[np.isfinite(values)]

    @cached_property
    def trend(self) -> Trend | None:
        """Slopes have parts for pairs of factors where three budgets leave an error for that."""
        if self.done.empty:
            return None
        order = 2 if len(self.numbers) > 2 else 1
        means, budgets = self._means(self.done), list(self.numbers.values())
        # The halves' difference was taken from what the lines would have left.
        return fit_trend(means, budgets, order, spent=int(spans_halves(self.done, [*self.factors])))

    def _means(self, rows: pd.DataFrame) -> dict[Cell, list[float]]:
        grouped = rows.groupby([*self.factors, self.name], observed=True)[self.response].mean()
        known = {key if isinstance(key, tuple) else (key,): v for key, v in grouped.items()}
        cells = itertools.product(*(range(len(levels)) for levels in self.factors.values()))
        found = {}
        for cell in cells:
            labels = [own[code] for own, code in zip(self.factors.values(), cell, strict=True)]
            found[cell] = [float(known.get((*labels, b), math.nan)) for b in self.numbers]
        return found

    @cached_property
    def fits(self) -> list[Fit | None]:
        """The study's own model at each budget, where its trials allow one."""
        found: list[Fit | None] = []
        for label in self.numbers:
            here = self.trials[self.trials[self.name] == label]
            planned = {n: here[n].cat.remove_unused_categories() for n in self.factors}
            here = here.assign(**planned)
            try:
                seen = observe(here, self.response, list(self.factors), block_of(self.design))
                error = chosen_error(self.design, here, self.response)
                found.append(Fit(seen, self.design.order, error))
            except AnalysisError:
                found.append(None)
        return found

    def effects(self) -> Iterator[BudgetEffect]:
        """Of every level against its baseline, and of every pair of factors."""
        for name, (base, *levels) in self.factors.items():
            for level in levels:
                found = self._effect(name, level, base)
                if found is not None:
                    yield found
        if self.design.order < 2:
            return
        for a, b in itertools.combinations(self.factors, 2):
            (base, *levels), (start, *ends) = self.factors[a], self.factors[b]
            for level, end in itertools.product(levels, ends):
                found = self._effect(a, level, base, b, (end, start))
                if found is not None:
                    yield found

    def _effect(
        self,
        factor: str,
        level: Any,
        base: Any,
        within: str = "",
        levels: tuple[Any, Any] = (None, None),
    ) -> BudgetEffect | None:
        parts = self._parts(factor, level, base, within, levels)
        trend = self.trend
        if not parts or trend is None:
            return None
        at = [
            self._at(place, factor, level, base, within, levels, parts)
            for place in range(len(self.numbers))
        ]
        ahead = trend.at(parts, self.ahead, self._of_seeds(parts))
        slope = trend.slope(parts)
        return BudgetEffect(factor, level, base, tuple(at), ahead, slope, within, levels)

    @cached_property
    def whole(self) -> Fit | None:
        """The study's own model of all budgets, where effects may differ between them."""
        if self.design.order < 2:
            return None
        factors, block = [*self.factors, self.name], block_of(self.design)
        try:
            seen = observe(self.trials, self.response, factors, block)
            error = chosen_error(self.design, self.trials, self.response)
            return Fit(seen, self.design.order, error)
        except AnalysisError:
            return None

    def _at(
        self,
        place: int,
        factor: str,
        level: Any,
        base: Any,
        within: str,
        levels: tuple[Any, Any],
        parts: Mapping[Cell, float],
    ) -> Estimate:
        """By the study's own model, of all budgets or for an interaction of this one, or where that
        has no error by what the trend leaves."""
        label = list(self.numbers)[place]
        fit = self.fits[place] if within else self.whole
        held: list[dict[str, Any]] = [{self.name: label}, {}]
        if within:
            held = [{within: one} for one in levels]
        if fit is not None:
            try:
                found: Estimate = compared(fit, factor, level, base, *held)
            except AnalysisError:
                pass
            else:
                if not math.isnan(found.std_error):
                    return found
        assert self.trend is not None
        return self.trend.within(parts, place)

    def _parts(
        self, factor: str, level: Any, base: Any, within: str, levels: tuple[Any, Any]
    ) -> dict[Cell, float]:
        assert self.trend is not None
        asked = Wanted(factor, level, base, within, levels)
        return weights_in(asked, self.factors, frozenset(self.trend.cells))

    def _of_seeds(self, parts: Mapping[Cell, float]) -> tuple[float, float]:
        """The variance over seeds of the effect that each seed's own line has at the next budget,
        of their mean, with its degrees of freedom: seeds share what all budgets have in common."""
        logs = np.log(list(self.numbers.values()))
        found = []
        for _, rows in self.done.groupby("seed"):
            means = self._means(rows)
            effect = sum(weight * np.array(means[cell]) for cell, weight in parts.items())
            if np.isfinite(effect).all():
                slope, start = np.polyfit(logs, effect, 1)
                found.append(start + slope * math.log(self.ahead))
        if len(found) < 2:
            return 0.0, 1.0
        return float(np.var(found, ddof=1)) / len(found), len(found) - 1.0

    def crossings(self) -> Iterator[Crossing]:
        """Every two levels of a factor that change places between neighbouring budgets."""
        names = [label_text(label) for label in self.numbers]
        for factor, levels in self.factors.items():
            for upper, lower in itertools.combinations(levels, 2):
                found = self._effect(factor, upper, lower)
                if found is None:
                    continue
                places = [*zip(names, found.at, strict=True), ("the next", found.ahead)]
                for (smaller, one), (larger, other) in itertools.pairwise(places):
                    if one.estimate * other.estimate < 0:
                        pair = (upper, lower) if one.estimate > 0 else (lower, upper)
                        likely = crossing(one, other)
                        yield Crossing(factor, *pair, smaller, larger, likely)
