"""What a rule of the lint is: what it is given, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from seedbed.data.corpus import Corpus
from seedbed.plan.confounded import Moved, alike, moved_fields, one_of_each, views_read
from seedbed.plan.cost import Cost
from seedbed.plan.lint.built import costs_of
from seedbed.plan.plan import Plan
from seedbed.study.designs.listed import Listed
from seedbed.study.factor import Factor
from seedbed.study.label import Label
from seedbed.study.study import Study
from seedbed.study.trial import Trial

Severity = Literal["error", "caution"]


@dataclass(frozen=True)
class Finding:
    """What is wrong with a plan, why it matters, and how to mend it.

    An error stops a run that is not forced: its trials could not answer the question. A caution is
    what the answer has to be read with. `rule` is filled in with the name of the rule's file.
    """

    severity: Severity
    what: str
    why: str
    mend: str
    rule: str = ""

    def to_json(self) -> dict[str, str]:
        return dict(vars(self))


@dataclass(frozen=True)
class Draft:
    """A plan to be judged, and what is known beside it before anything starts.

    `pairs` counts the pairs of a corpus, where they are counted.
    """

    plan: Plan
    pairs: Mapping[Corpus, int] = field(default_factory=dict)

    @property
    def study(self) -> Study:
        return self.plan.study

    @cached_property
    def cells(self) -> list[Trial]:
        """A trial of each cell."""
        return one_of_each(self.plan.trials)

    @cached_property
    def moved(self) -> list[Moved]:
        return moved_fields(self.plan)

    @cached_property
    def views(self) -> dict[str, dict[Label, tuple[str, ...]]]:
        return views_read(self.plan)

    @cached_property
    def costs(self) -> list[Cost]:
        """Of `cells`, in their order. Raises StudyError for cells that cannot be built."""
        return costs_of(self.cells, self.study.factors)

    @cached_property
    def different_costs(self) -> list[Cost]:
        """Each of `costs` once: cells that compute the same share theirs."""
        return list({id(cost): cost for cost in self.costs}.values())

    @property
    def by_hand(self) -> bool:
        """Whether its cells are all that are allowed, or listed: a design that chooses them says
        itself what they cannot tell apart."""
        return self.study.design is None or isinstance(self.study.design, Listed)

    def against_baseline(self, factor: Factor) -> Iterable[tuple[int, int]]:
        """Pairs of indices of cells that differ in `factor` only: one, and the baseline's."""
        if factor.name not in self._pairs:
            self._pairs[factor.name] = list(self._compared(factor))
        return self._pairs[factor.name]

    @cached_property
    def _pairs(self) -> dict[str, list[tuple[int, int]]]:
        return {}

    def _compared(self, factor: Factor) -> Iterator[tuple[int, int]]:
        index = {id(cell): number for number, cell in enumerate(self.cells)}
        baseline = factor.baseline(self.study.base)
        for group in alike(factor, self.cells):
            base = next((c for c in group if c.cell[factor.name] == baseline), None)
            if base is not None:
                yield from ((index[id(c)], index[id(base)]) for c in group if c is not base)


@dataclass(frozen=True)
class Rule:
    """A rule, declared as `RULE` by a file of `rules/`; its name is the file's.

    `judge` is linear in the cells of a plan: there may be ten thousand.
    """

    about: str
    judge: Callable[[Draft], Iterable[Finding]]
