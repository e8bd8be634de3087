"""Intervals and p values of a study that is looked at by its own rule: they hold at all looks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from seedbed.analyze.stats.anytime import OneSize
from seedbed.analyze.stats.comparison import Estimate
from seedbed.analyze.stats.group_sequential import limit_in_errors, p_at_look, t_critical_values
from seedbed.analyze.stats.savi import NormalEffect
from seedbed.study.looks import ANYTIME, SAVI, Looks

_CONFIDENCE = 0.95
# The share of the most seeds with which intervals of method "anytime" are the shortest for their
# number. From a fifth to a third studies spend about as few (as tests/benchmarks/bench_looks.py has
# them), and more above; with few degrees of freedom a smaller share gives first looks an end, with
# many a larger one makes the last intervals shorter.
_DECIDED_BY = 0.3
One = TypeVar("One", bound=Estimate)


@dataclass(frozen=True)
class Looked:
    """The look at which a study of `num_cells` cells has `num_seeds` seeds.

    Seeds between two looks are judged by the stricter of both: neither was planned for them.
    """

    looks: Looks
    num_cells: int
    num_seeds: int

    @property
    def planned(self) -> tuple[int, ...]:
        """The looks (from 0) that these seeds stand for: one, or the two that they lie between."""
        counts = self.looks.counts
        reached = [number for number, seeds in enumerate(counts) if seeds <= self.num_seeds]
        last = reached[-1] if reached else 0
        between = last + 1 < len(counts) and counts[last] < self.num_seeds
        return (last, last + 1) if between else (last,)

    def _pooled_df(self, num_seeds: int) -> int:
        """Of an error pooled over all cells."""
        return max(self.num_cells - 1, 1) * (num_seeds - 1)

    @cached_property
    def evidence(self) -> OneSize | NormalEffect | None:
        """What is weighed against no effect, whatever the trials say; None where alpha is spent."""
        looks = self.looks
        if looks.method == SAVI:
            return NormalEffect.shortest(looks.most, self._pooled_df(looks.most))
        if looks.method != ANYTIME:
            return None
        # Claims are mostly decided long before the most seeds, a width is planned for them.
        return OneSize.shortest(looks.most * (_DECIDED_BY if looks.by_claims else 1))

    @property
    def times_as_wide(self) -> float:
        """Its intervals over those of a single look, with a pooled error."""
        df = self._pooled_df(self.num_seeds)
        return self.half_width(df) / float(stats.t.ppf((1 + _CONFIDENCE) / 2, df))

    def half_width(self, df: float, level: float = _CONFIDENCE) -> float:
        """Half of an interval of confidence `level`, in standard errors."""
        return float(self.half_widths(df, level))

    def half_widths(self, df: ArrayLike, level: float = _CONFIDENCE) -> NDArray[np.float64]:
        """The same of many estimates."""
        looks, alpha = self.looks, 1 - level
        if self.evidence is not None:
            return self.evidence.half_width(df, self.num_seeds, alpha)
        limits = t_critical_values(looks.counts, round(alpha, 12), looks.method)
        return limit_in_errors(max(limits[look] for look in self.planned), df)

    def interval(self, estimate: Estimate, level: float = _CONFIDENCE) -> tuple[float, float]:
        """NaN where there is no error."""
        if math.isnan(estimate.std_error):
            return math.nan, math.nan
        half = self.half_width(estimate.df, level) * estimate.std_error
        return estimate.estimate - half, estimate.estimate + half

    def p(self, estimate: Estimate, null: float = 0.0) -> float:
        """The two-sided p value of `null`, over all looks so far."""
        if math.isnan(estimate.std_error):
            return math.nan
        looks = self.looks
        t = (estimate.estimate - null) / estimate.std_error
        if self.evidence is not None:
            found = self.evidence.log_evidence(t, estimate.df, self.num_seeds)
            return math.exp(min(0.0, -float(found)))
        return max(p_at_look(t, estimate.df, looks.counts, k, looks.method) for k in self.planned)

    def p_against(self, estimate: Estimate, direction: str, margin: float) -> float:
        """The p of a claim: of "within" the larger of two, and 1 on the wrong side of a margin."""
        if math.isnan(estimate.std_error):
            return math.nan
        if direction == "within":
            sides = (("above", -margin), ("below", margin))
            return max(self.p_against(estimate, *side) for side in sides)
        value = estimate.estimate
        there = value > margin if direction == "above" else value < margin
        return self.p(estimate, margin) if there else 1.0

    def seen(self, comparisons: Sequence[One]) -> list[One]:
        """The same with the interval and the p of all looks; p values are adjusted anew after."""
        return [self._seen(one) for one in comparisons]

    def _seen(self, one: One) -> One:
        low, high = self.interval(one)
        if math.isinf(high):  # no figure and no table has room for that
            return replace(one, p_value=self.p(one), conf_low=math.nan, conf_high=math.nan).noted(
                "this look has too few degrees of freedom for an interval with an end"
            )
        return replace(one, p_value=self.p(one), conf_low=low, conf_high=high)

    def means(self, table: pd.DataFrame) -> pd.DataFrame:
        """The table of `marginal_means` with the intervals of all looks."""
        half = [
            math.nan if math.isnan(se) else self.half_width(df) * se
            for se, df in zip(table["se"], table["df"], strict=True)
        ]
        half = [math.nan if math.isinf(one) else one for one in half]
        ends = {"low": table["mean"] - half, "high": table["mean"] + half}
        columns = {f"{start}_{end}": v for end, v in ends.items() for start in ("ci", "conf")}
        return table.assign(**{name: v for name, v in columns.items() if name in table.columns})

    def chance(self, estimate: Estimate, direction: str, margin: float, alpha: float) -> float:
        """How likely the most seeds would decide a claim's contrast, either way, by what is there.

        The predictive power of a flat prior: the final estimate lies around this one with the error
        of the seeds that are left. Spiegelhalter, Freedman & Blackburn 1986 (Control. Clin. Trials
        7:8), with t distributions for normal ones. Not a number where there is no error yet.
        """
        share = min(self.num_seeds / self.looks.most, 1.0)
        if math.isnan(estimate.std_error) or share >= 1:
            return math.nan if share < 1 else 0.0
        df = estimate.df * (self.looks.most - 1) / max(self.num_seeds - 1, 1)
        final = replace(self, num_seeds=self.looks.most)
        error = estimate.std_error * math.sqrt(share)  # of the final estimate
        apart = estimate.std_error * math.sqrt(1 - share)  # how far it will lie from this one

        def beyond(limit: float) -> float:
            return float(stats.t.sf((limit - estimate.estimate) / apart, estimate.df))

        half = error * final.half_width(df, 1 - (2 if direction == "within" else 1) * alpha)
        if direction != "within":
            return beyond(margin + half) + 1 - beyond(margin - half)
        outside = error * final.half_width(df, 1 - alpha)
        inside = max(0.0, beyond(half - margin) - beyond(margin - half))
        return inside + beyond(margin + outside) + 1 - beyond(-margin - outside)
