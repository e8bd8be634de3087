"""A study: one question, its factors, and the trials that answer it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from seedbed.evaluate.named import NamedTest, named_tests
from seedbed.evaluate.tasks.held_out_captions import TOP1, TOP1_OF_100
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import Scale, scale_named
from seedbed.study.arguments import (
    ERRORS,
    check_base,
    check_called,
    check_names,
    check_something,
    checked_error,
    checked_seeds,
    several,
)
from seedbed.study.best import AroundBest
from seedbed.study.cell import Cell
from seedbed.study.cell_design import CellDesign
from seedbed.study.claim import Claim, check_claims
from seedbed.study.constraint import Forbidden, check_cells, check_constraints
from seedbed.study.crossing import check_crossing, check_overrides, crossed
from seedbed.study.designs import all_designs, stated_design
from seedbed.study.factor import Factor
from seedbed.study.fold import folded
from seedbed.study.impossible import narrowed
from seedbed.study.looks import Looks, checked_looks, looked_seeds
from seedbed.study.measured import check_responses, measured, with_means, zero_shot_check
from seedbed.study.nested import check_nested, nested_rules
from seedbed.study.nuisance import Search, Tuning, stated_nuisance
from seedbed.study.nuisance_checks import check_nuisance
from seedbed.study.published import Published
from seedbed.study.recipes import everywhere, recipes_at, somewhere
from seedbed.study.recorded import DEVICE_HOURS
from seedbed.study.trial import Trial, check_distinct, with_digest

RESPONSES = (TOP1_OF_100.name, TOP1.name, DEVICE_HOURS.name)


class Study:
    """A question, a base recipe, and the factors that are crossed to answer it.

    `responses` are metrics, the primary first: at every scale, so choose one that the smallest can
    resolve (top-1 of 100 separates models that name hardly any picture right among all names). A
    claim about another response names it. `seeds` is a number (0 to n - 1) or the seeds themselves;
    without it the scale decides. `scales` adds to a scale's patches for this study:
    `{"demo": {"budget.samples": 10_000}}`. A design of `study/designs/`, given by its name, trains
    a part of the cells: `fraction=("a * b * c * d * e",)` half of those of five two-level factors,
    and `constraints=(forbid(encoder="resnet", supervision="filip"),)` leaves cells out, as
    `(forbid("impossible"),)` does with what cannot be trained.
    `published` are values of others that the report sets beside the study's own; `claims` are what
    the study expects, judged in the report. `nuisance` fields are tuned for every cell, as `tuning`
    says, before cells are compared. With `looks` seeds are added until the claims are decided or
    the intervals short, up to a number stated before. `error` is what its intervals use: "cells" (a
    variance for each cell) or "pooled" (one for all: narrower, and too narrow where the variances
    differ), which the report uses only if it was stated before the first trial. `tests` are test
    sets that every trial is scored on beside the held-out pairs, as "cifar10" or
    "imagenet=s3://...": their metrics (`cifar10/acc1`) can be responses, and of several their means
    are. Everything is checked here, at definition: a wrong path, level or patch raises StudyError
    before anything starts.
    """

    def __new__(cls, *args: Any, **fields: Any) -> Study:
        check_names(cls, fields, also=all_designs())
        return super().__new__(cls)

    def __init__(
        self,
        *,
        name: str,
        question: str,
        base: Recipe,
        factors: Sequence[Factor],
        responses: Sequence[str] = RESPONSES,
        seeds: int | Sequence[int] | None = None,
        scales: Mapping[str, Mapping[str, Any]] | None = None,
        published: Published | None = None,
        claims: Sequence[Claim] = (),
        error: str = ERRORS[0],
        constraints: Sequence[Forbidden] = (),
        tests: Sequence[str] = (),
        nuisance: Sequence[Search] = (),
        tuning: Tuning | None = None,
        looks: Looks | None = None,
        **design: Any,
    ) -> None:
        self.name, self.question, self.base = name, question, base
        self.own_name = name  # whatever a run of it is called
        self.factors = several(factors, Factor, "factors")
        self.tests = named_tests(several(tests, str, "tests"))
        self.responses = with_means(several(responses, str, "responses"), self.tests)
        self.scales = {scale: dict(patch) for scale, patch in (scales or {}).items()}
        check_base(base, self.scales)
        check_nested(self.factors, base)
        self._take(self._stated(design))
        stated = several(constraints, Forbidden, "constraints")
        self.constraints = (*stated, *nested_rules(self.factors, base))
        self.seeds = None if seeds is None else checked_seeds(seeds)
        self.published, self.claims = published, several(claims, Claim, "claims")
        self.error = checked_error(error)
        self.nuisance = stated_nuisance(nuisance, tuning)
        self.looks = checked_looks(looks, self.seeds, bool(self.claims))
        self._check()

    def _stated(self, design: Mapping[str, Any]) -> CellDesign | None:
        if not design:
            return None
        baseline = Cell((factor.name, factor.baseline(self.base)) for factor in self.factors)
        return stated_design(design, self.factors, baseline)

    def _take(self, design: CellDesign | None) -> None:
        self.design = design
        self.factors = self.factors if design is None else design.used(self.factors)

    def _check(self) -> None:
        check_called(self.name, "a study is named")
        check_something(self.name, self.factors, self.responses)
        check_crossing(self.name, self.factors)
        check_constraints(self.constraints, self.factors)
        for scale in self.scales:
            scale_named(scale)
        if self.published is not None:
            self.published.check(self.factors, self.responses)
        said = self.base, self.factors, self.scales
        largest, checked = somewhere(*said), zero_shot_check(self.responses, self.tests)
        rules = narrowed(self.constraints, self.factors, lambda cell: checked(cell, largest(cell)))
        if rules != self.constraints:
            self.constraints = rules
            self.__dict__.pop("_cells", None)
        cells = self.cells()
        check_cells(cells, self.constraints, self.factors)
        recipes = [checked(cell, largest(cell)) for cell in cells]
        self.metrics = measured(recipes, self.tests)
        if not self.metrics.keys() >= set(self.responses):
            # What a selection removes is recorded at the scales whose patches select.
            self.metrics = self.metrics | measured(everywhere(*said, cells), self.tests)
        check_responses(self.responses, self.metrics)
        if self.nuisance is not None:
            check_nuisance(self.nuisance, self.factors, recipes, self.responses)
        check_claims(self.claims, self.factors, [self.metrics[name] for name in self.responses])

    def scored_on(self, tests: Sequence[NamedTest]) -> Study:
        """This study with every trial scored on `tests`, whose top-1 are its first responses.

        A claim about one of them, and what was published of it, refer to it. Raises StudyError
        where a cell cannot be scored.
        """
        if not tests:
            return self
        study, named = copy.copy(self), {test.name for test in tests}
        study.tests = (*tests, *(test for test in self.tests if test.name not in named))
        first = [test.primary for test in tests]
        study.responses = with_means(tuple(dict.fromkeys((*first, *self.responses))), study.tests)
        study.claims = tuple(claim.on(study.tests) for claim in self.claims)
        study.published = self.published and self.published.on(study.tests)
        study._check()
        return study

    def called(self, name: str) -> Study:
        """This study with its results kept under another name: a run of its own, beside others.

        Raises StudyError for what is no name.
        """
        check_called(name, "a run of a study is named")
        study = copy.copy(self)
        study.name = name
        return study

    def folded_over(self, factor: str = "") -> Study:
        """This study with its fraction folded over `factor`, or over all factors of its words.

        Its cells, and as many new ones. Raises StudyError for a study without a fraction, and where
        no cell would be new.
        """
        return self.of_cells(design=folded(self.design, self.factors, factor))

    def of_cells(
        self, *, design: CellDesign | None = None, constraints: Sequence[Forbidden] = ()
    ) -> Study:
        """This study with the cells of another design, or under other constraints.

        Raises StudyError where they cannot be.
        """
        study = copy.copy(self)
        study._take(design or self.design)
        stated = tuple(constraints) or tuple(r for r in self.constraints if not r.nested)
        study.constraints = (*stated, *nested_rules(study.factors, study.base))
        study.__dict__.pop("_cells", None)
        study._check()
        return study

    def cells(self) -> list[Cell]:
        """The design's cells; without a design, every combination that no constraint forbids."""
        return list(self._cells)

    @cached_property
    def _cells(self) -> tuple[Cell, ...]:
        # Once: a design that chooses its cells takes seconds, and plans ask for them again.
        if self.design is None:
            return tuple(cell for cell in crossed(self.factors) if self.allows(cell))
        return tuple(self.design.cells(self.factors, self.allows))

    def allows(self, cell: Cell) -> bool:
        """Whether no constraint forbids `cell`."""
        return not any(rule.covers(cell) for rule in self.constraints)

    def trials(
        self,
        scale: Scale,
        *,
        overrides: Mapping[str, Any] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> tuple[Trial, ...]:
        """Every trial at `scale`, seed by seed; `overrides` are patches that come last."""
        if isinstance(self.design, AroundBest):
            raise self.design.unknown()
        check_overrides(overrides or {}, self.factors)
        looked = looked_seeds(self.looks)
        chosen = seeds or self.seeds or looked or tuple(range(scale.num_seeds))
        recipe = self.recipes(scale, overrides)
        firsts = [Trial(cell, with_digest(recipe(cell))) for cell in self.cells()]
        trials = [first.reseeded(seed) for seed in chosen for first in firsts]
        check_distinct(trials)
        return tuple(trials)

    def recipe(
        self,
        cell: Cell,
        scale: Scale,
        overrides: Mapping[str, Any] | None = None,
    ) -> Recipe:
        """What runs in `cell` at `scale`. Raises StudyError, naming whose patches fail."""
        return self.recipes(scale, overrides)(cell)

    def recipes(
        self, scale: Scale, overrides: Mapping[str, Any] | None = None
    ) -> Callable[[Cell], Recipe]:
        """Gives the recipe of a cell at `scale`, as `recipe` does; of many cells faster."""
        return recipes_at(scale, self.base, self.factors, self.scales, overrides)

    def base_at(self, scale: Scale) -> Recipe:
        """The base recipe at `scale`, with this study's own patches."""
        return self.recipe(Cell(), scale)

    def __repr__(self) -> str:
        return f"Study({self.name!r}, factors={list(self.factors)})"
