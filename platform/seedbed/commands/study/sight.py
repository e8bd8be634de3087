"""What a study's seeds can see, before they are spent: the lines of a plan that say it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from seedbed.commands.study.amounts import spent, two_digits
from seedbed.plan.cells import PlannedContrast, planned_cells
from seedbed.plan.power import detectable_difference, within_power
from seedbed.plan.sight import Sight, worst

if TYPE_CHECKING:
    from seedbed.commands.study.options import Options
    from seedbed.commands.study.price import Price
    from seedbed.metric import Metric
    from seedbed.study.claim import Claim

# Of a share, in its own unit: DataComp's spread of ImageNet over seeds (arXiv 2304.14108).
# The seeds' own shifts are in it, which comparisons within a seed are free of.
PUBLISHED = 0.002
WANTED = 0.005  # of a share: half a point


@dataclass(frozen=True)
class Noise:
    """The SD of a trial within its seed, in the response's unit; `words` say where from."""

    sd: float
    words: str


class Foreseen:
    """What the primary response of a plan will show, at its seeds."""

    def __init__(self, options: Options, price: Price) -> None:
        self.options, self.plan, self.price = options, options.plan, price
        self.metric = self.plan.metrics[self.plan.responses[0]]
        self.noise = self.noise_of(self.metric)
        self.num_seeds = len({trial.seed for trial in self.plan.trials})

    def noise_of(self, metric: Metric) -> Noise | None:
        """Of a response: as it is stated, measured, or published; None where it is not known."""
        stated = self.options.foresight.noise
        if stated and (metric == self.metric or metric.is_share == self.metric.is_share):
            return Noise(stated, "as --noise says")
        found = self.price.earlier.noise(self.plan.trials, metric.name)
        if found is not None:
            sd, df = found
            return Noise(sd, f"measured in earlier trials of this study, {df} degrees of freedom")
        if metric.is_share:
            words = "DataComp's over seeds of ImageNet, and a small test set has more; --noise SD"
            return Noise(PUBLISHED, words)
        return None

    @cached_property
    def sight(self) -> Sight:
        """Of the plan's cells and seeds, at the noise that is known."""
        assert self.noise is not None
        return Sight(planned_cells(self.plan), self.noise.sd, self.num_seeds)

    @cached_property
    def effects(self) -> dict[str, list[PlannedContrast]]:
        """Comparisons by the term that they are a part of: factors, then pairs of them."""
        found: dict[str, list[PlannedContrast]] = {}
        for one in (*self.sight.cells.main_effects(), *self.sight.cells.interactions()):
            found.setdefault(one.term, []).append(one)
        return found

    @cached_property
    def claims(self) -> list[tuple[Claim, list[PlannedContrast]]]:
        """The claims that this scale can judge."""
        return [
            (claim, [self.sight.cells.contrast(claim, one) for one in claim.contrasts])
            for claim in self.plan.judged_claims
        ]

    def lines(self) -> list[str]:
        """All of it, for people."""
        if self.noise is None:
            return [
                f"sees    how much {self.metric.label} varies from trial to trial is not known: "
                "--noise SD says it"
            ]
        head = (
            f"sees    with a power of 80 % and 95 % intervals, at a noise of "
            f"{self.amount(self.noise.sd)} ({self.noise.words}):"
        )
        if self.num_seeds < 2:
            return [f"{head} nothing: one seed has no error; --seeds 3"]
        rows = [(term.replace(":", " x "), self.detectable(own)) for term, own in self._grouped()]
        rows += [(claim.id, self._claim_words(claim, own)) for claim, own in self.claims]
        width = max(len(name) for name, _ in rows)
        lines = [head, *(f"        {name:<{width}}  {said}" for name, said in rows)]
        return [*lines, *self._wanted_lines()]

    def _grouped(self) -> list[tuple[str, list[PlannedContrast]]]:
        """The factors and the pairs, many of these in one row."""
        pairs = {term: own for term, own in self.effects.items() if ":" in term}
        rows = [(term, own) for term, own in self.effects.items() if term not in pairs]
        if len(pairs) > 6:
            rows.append((f"{len(pairs)} pairs", [one for own in pairs.values() for one in own]))
        else:
            rows += pairs.items()
        if simple := self.sight.cells.simple_effects():
            rows.append(("one factor at one level of another", simple))
        return rows

    def _claim_words(self, claim: Claim, own: Sequence[PlannedContrast]) -> str:
        """How far the truth must lie beyond a claim's margins for it to be supported; of one of
        equality how often it would be, if there is no difference."""
        metric = self.plan.metrics[claim.response or self.metric.name]
        noise = self.noise_of(metric)
        if noise is None:
            return f"the noise of {metric.label} is not known (--noise SD)"
        if any(one.weights is None for one in own):
            return "nothing: these cells cannot tell it apart"
        sight = replace(self.sight, noise=noise.sd)
        if not all(sight.cells.df(one, self.num_seeds) for one in own):
            return "nothing: two seeds leave too few degrees of freedom"
        beyond, equal = 0.0, 1.0
        for contrast, one in zip(claim.contrasts, own, strict=True):
            se, df = sight.se(one), sight.cells.df(one, self.num_seeds)
            if contrast.direction == "within":
                equal = min(equal, within_power(0.0, contrast.margin, se, df, alpha=claim.alpha))
            else:
                beyond = max(beyond, detectable_difference(se, df, alpha=claim.alpha))
        of = "" if metric == self.metric else f" of {metric.label[:1].lower()}{metric.label[1:]}"
        margin = "its margin" if len(own) == 1 else f"each of its {len(own)} margins"
        said = f"{self.amount(beyond, metric)}{of} beyond {margin}" if beyond else ""
        if equal < 1:
            alike = f"supported in {100 * equal:.0f} % of studies if there is no difference{of}"
            said = f"{said}; {alike}" if said else alike
        return said

    def detectable(self, comparisons: Sequence[PlannedContrast]) -> str:
        """What the least certain of them sees, in words."""
        if any(one.weights is None for one in comparisons):
            return "nothing: these cells cannot tell it apart"
        found = worst(self.sight, comparisons)
        if math.isnan(found):
            return "nothing: two seeds leave too few degrees of freedom"
        return self.amount(found)

    def _wanted_lines(self) -> list[str]:
        """How many seeds, and what they cost, would see half a point of every one."""
        if not self.metric.is_share:
            return []
        amount, unit = self.price.per_seed
        found = []
        for words, terms in (
            ("every factor", [t for t in self.effects if ":" not in t]),
            ("every pair too", list(self.effects)),
        ):
            needed = self.seeds_for([one for term in terms for one in self.effects[term]])
            if needed:
                found.append(f"{needed} seeds for {words} ({spent(needed * amount, unit)})")
        if not found:
            return []
        return [f"        {self.amount(WANTED)} need {', '.join(dict.fromkeys(found))}"]

    def seeds_for(self, comparisons: Sequence[PlannedContrast]) -> int:
        """The fewest at which each detects WANTED; 0 where one never does."""
        known = {round(one.variance, 12): one for one in comparisons if one.weights is not None}
        if not known or any(one.weights is None for one in comparisons):
            return 0
        needed = [self.sight.seeds_to_see(one, WANTED) for one in known.values()]
        return max(needed) if all(needed) else 0

    def amount(self, value: float, metric: Metric | None = None) -> str:
        """In points where the response, the primary one, is a share."""
        share = (metric or self.metric).is_share
        return f"{two_digits(100 * value)} points" if share else two_digits(value)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; what has no error is null."""
        if self.noise is None:
            return {"noise": None}
        return {
            "noise": self.noise.sd,
            "noise_by": self.noise.words,
            "power": 0.8,
            "detectable": [
                {
                    "term": one.term,
                    "comparison": one.words,
                    "difference": None if math.isnan(found) else found,
                }
                for own in (*self.effects.values(), *(own for _, own in self.claims))
                for one in own
                for found in [worst(self.sight, [one])]
            ],
        }
