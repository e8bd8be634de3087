"""The design of a plan, as long as nothing has run: what its tracked runs and their report have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from seedbed.metric import Metric
from seedbed.plan.cohort import Cohort
from seedbed.plan.confounded import Planned, moved_together, views_read
from seedbed.plan.design import (
    ORDER,
    Design,
    PlannedFactor,
    PlannedTrial,
    StatedClaim,
    StatedError,
)
from seedbed.plan.tuned import Tuned
from seedbed.recipe.scale import Scale
from seedbed.study.cell import Cell
from seedbed.study.fold import FoldedOver
from seedbed.study.nuisance import Nuisance
from seedbed.study.study import Study


class Undesigned(Planned, Protocol):
    """A plan, as far as its design is made of it."""

    @property
    def scale(self) -> Scale: ...

    @property
    def scale_reason(self) -> str: ...

    @property
    def overrides(self) -> tuple[tuple[str, Any], ...]: ...

    @property
    def cohorts(self) -> tuple[Cohort, ...]: ...

    @property
    def nuisance(self) -> Nuisance | None: ...

    @property
    def tuned(self) -> Tuned | None: ...

    @property
    def responses(self) -> tuple[str, ...]: ...

    @property
    def metrics(self) -> dict[str, Metric]: ...


def design_of(plan: Undesigned) -> Design:
    """The design of `plan`, as long as nothing has run.

    A trial's `recipe` holds the fields that vary in the study, so that the analysis finds what a
    factor moved beside what it says.
    """
    study, varying = plan.study, _varying([trial.flat for trial in plan.trials])
    named = [(cohort.id, cohort) for cohort in plan.cohorts]
    cohorts = {trial.key: name for name, cohort in named for trial in cohort.trials}
    return Design(
        study=study.name,
        question=study.question,
        scale=plan.scale.name,
        scale_reason=plan.scale_reason,
        overrides=_set_by_hand(plan),
        factors=factors_of(plan),
        responses=plan.responses,
        metrics=tuple(plan.metrics.values()),
        published=study.published,
        claims=tuple(StatedClaim(claim=claim) for claim in study.claims),
        error=StatedError(kind=study.error),
        cells="" if study.design is None else str(study.design),
        order=ORDER if study.design is None else study.design.order,
        tuned=plan.tuned,
        sequential=study.looks,
        seeds=tuple(sorted({trial.seed for trial in plan.trials})),
        trials=tuple(
            PlannedTrial(
                key=trial.key,
                cell=trial.cell,
                seed=trial.seed,
                cohort=cohorts[trial.key],
                recipe={path: trial.flat.get(path) for path in varying},
                half=_half(study, trial.cell),
            )
            for trial in plan.trials
        ),
    )


def _half(study: Study, cell: Cell) -> int:
    """Of a fraction that is folded over: 1 or 2; 0 of any other design."""
    design = study.design
    return design.half(cell, study.factors) if isinstance(design, FoldedOver) else 0


def _set_by_hand(plan: Undesigned) -> dict[str, str]:
    """What tells this run of a study from others: with another search it is another run."""
    values = {path: str(value) for path, value in plan.overrides}
    if plan.nuisance is not None:
        values["tuning"] = f"{plan.nuisance.all_words} ({plan.nuisance.digest})"
    if plan.study.looks is not None:
        values["looks"] = f"{plan.study.looks.words} ({plan.study.looks.digest})"
    return values


def factors_of(plan: Undesigned) -> dict[str, PlannedFactor]:
    views = views_read(plan)
    also = moved_together(plan, views)
    return {
        factor.name: PlannedFactor(
            name=factor.name,
            levels=tuple(factor.levels),
            baseline=factor.baseline(plan.study.base),
            at=factor.at or ", ".join(sorted(factor.paths)),
            also_moves=tuple(also.get(factor.name, ())),
            views=tuple(views[factor.name][label] for label in factor.levels)
            if factor.name in views
            else (),
        )
        for factor in plan.study.factors
        if len(factor.levels) > 1  # of a constant one nothing is compared
    }


def _varying(recipes: Sequence[Mapping[str, Any]]) -> list[str]:
    """The fields that are not the same in all `recipes`, sorted; an absent one is None."""
    first = recipes[0]
    differ = {path for recipe in recipes[1:] for path, _ in recipe.items() ^ first.items()}
    return sorted(path for path in differ if any(r.get(path) != first.get(path) for r in recipes))
