"""A plan: the trials of a study at a scale, grouped into cohorts, with their cost. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from seedbed.metric import Metric
from seedbed.plan.about import check_decidable, is_about, scale_words
from seedbed.plan.cohort import COHORT_SIZE, Cohort, cohorts_of
from seedbed.plan.confounded import moved_together, views_read
from seedbed.plan.cost import Cost, counted, estimate
from seedbed.plan.design import (
    ORDER,
    Design,
    PlannedFactor,
    PlannedTrial,
    StatedClaim,
    StatedError,
)
from seedbed.plan.levels import resolved
from seedbed.plan.tuned import Tuned
from seedbed.recipe.recipe import content_key
from seedbed.recipe.scale import Scale
from seedbed.study.cell import Cell
from seedbed.study.claim import Claim
from seedbed.study.fold import FoldedOver
from seedbed.study.looks import check_looked_seeds
from seedbed.study.measured import measured
from seedbed.study.nuisance import Nuisance
from seedbed.study.nuisance_checks import check_fresh, check_nuisance
from seedbed.study.study import Study
from seedbed.study.trial import Trial


@dataclass(frozen=True)
class Plan:
    """What will run, before anything does.

    With `nuisance` fields each cell is tuned before: until it has been, and `tuned` says how, the
    trials have the recipe's own values of them.
    """

    study: Study
    scale: Scale
    scale_reason: str
    overrides: tuple[tuple[str, Any], ...]
    trials: tuple[Trial, ...]
    cohorts: tuple[Cohort, ...]
    cohort_size: int = COHORT_SIZE
    nuisance: Nuisance | None = None
    tuned: Tuned | None = None

    @property
    def responses(self) -> tuple[str, ...]:
        return self.study.responses

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """By name, what its trials measure."""
        return self.study.metrics | measured(trial.recipe for trial in self.trials)

    @property
    def variation(self) -> str:
        """The scale's name, with a digest of overrides, search and looks where there are any."""
        values = {path: repr(value) for path, value in self.overrides}
        if self.nuisance is not None:
            values["tuning"] = self.nuisance.digest
        if self.study.looks is not None:
            values["looks"] = self.study.looks.digest
        if not values:
            return self.scale.name
        digest = content_key(dict(values))
        return f"{self.scale.name}-{digest[:8]}"

    @property
    def scale_words(self) -> str:
        """The scale of its trials: another than its own where a size is set by hand."""
        return scale_words(self.scale.name, dict(self.overrides))

    @property
    def judged_claims(self) -> tuple[Claim, ...]:
        """The study's claims that its trials can judge; the others are of another scale."""
        return tuple(one for one in self.study.claims if is_about(one, self.scale_words))

    @property
    def nuisance_paths(self) -> tuple[str, ...]:
        """The fields that each cell has tuned values of."""
        return self.nuisance.paths if self.nuisance is not None else ()

    @property
    def is_untuned(self) -> bool:
        """Whether its cells are still to be tuned: the keys of what is compared are not known."""
        return self.nuisance is not None and self.tuned is None

    def of_trials(self, trials: Sequence[Trial]) -> Plan:
        """This plan with other trials, grouped anew."""
        return replace(self, trials=tuple(trials), cohorts=cohorts_of(trials, self.cohort_size))

    def of_seeds(self, num_seeds: int) -> Plan:
        """This plan with the first `num_seeds` of its seeds alone."""
        seeds = list(dict.fromkeys(trial.seed for trial in self.trials))[:num_seeds]
        return self.of_trials([trial for trial in self.trials if trial.seed in seeds])

    def with_tuned(self, tuned: Tuned) -> Plan:
        """This plan with the values that its cells were tuned to."""
        values, own = tuned.values, {trial.cell: trial for trial in self.trials}
        cells = {c: replace(t, recipe=t.recipe.patched(values[c])) for c, t in own.items()}
        trials = [cells[trial.cell].reseeded(trial.seed) for trial in self.trials]
        return replace(self.of_trials(trials), tuned=tuned)

    def costs(self) -> dict[str, Cost]:
        """The estimated cost of each trial by key."""
        return self._costs

    @cached_property
    def _costs(self) -> dict[str, Cost]:
        known: dict[tuple[object, ...], Cost] = {}
        out: dict[str, Cost] = {}
        for trial in self.trials:
            same = counted(trial.recipe)
            if same not in known:
                known[same] = estimate(trial.recipe)
            out[trial.key] = known[same]
        return out

    def factors(self) -> dict[str, PlannedFactor]:
        """What its study varies, by name."""
        return _factors(self)

    def design(self) -> Design:
        """The design, for the ledger and the analysis; what a run finds out is added to it."""
        return _design(self)

    def to_json(self) -> dict[str, Any]:
        """What `--plan --json` prints: the design, and what each level and each trial resolves to.

        `resolved` lists the fields that a factor sets, a dictionary for each of its `levels`.
        """
        costs = self.costs()
        design = self.design().to_json()
        for factor in self.study.factors:
            values = resolved(factor, self.trials)
            design["factors"][factor.name]["resolved"] = [values[label] for label in factor.levels]
        for trial, entry in zip(self.trials, design["trials"], strict=True):
            entry["name"] = trial.name
            entry["recipe"] = dict(trial.flat)
            entry["cost"] = costs[trial.key].to_json()
        design["cohorts"] = [
            {
                "id": cohort.id,
                "seed": cohort.recipe.seed,
                "trials": [trial.key for trial in cohort.trials],
                "samples": cohort.samples,
                "batch": cohort.recipe.budget.batch,
            }
            for cohort in self.cohorts
        ]
        return design


def plan(
    study: Study,
    scale: Scale,
    *,
    scale_reason: str = "",
    overrides: Mapping[str, Any] | None = None,
    seeds: Sequence[int] | None = None,
    cohort_size: int = COHORT_SIZE,
    nuisance: Nuisance | None = None,
) -> Plan:
    """Trials and cohorts of `study` at `scale`. Starts nothing and reads no data.

    `nuisance` replaces what the study states of it.
    """
    check_looked_seeds(study.looks, None if seeds is None else tuple(seeds))
    check_decidable(study.looks, study.claims, scale_words(scale.name, overrides or {}))
    trials = study.trials(scale, overrides=overrides, seeds=seeds)
    nuisance = nuisance or study.nuisance
    if nuisance is not None:
        recipes = {trial.cell: trial.recipe for trial in trials}.values()
        check_nuisance(nuisance, study.factors, recipes, study.responses, overrides or ())
        check_fresh(nuisance, {trial.seed for trial in trials})
    return Plan(
        study=study,
        scale=scale,
        scale_reason=scale_reason,
        overrides=tuple(sorted((overrides or {}).items())),
        trials=trials,
        cohorts=cohorts_of(trials, cohort_size),
        cohort_size=cohort_size,
        nuisance=nuisance,
    )


def _design(plan: Plan) -> Design:
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
        factors=plan.factors(),
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


def _set_by_hand(plan: Plan) -> dict[str, str]:
    """What tells this run of a study from others: with another search it is another run."""
    values = {path: str(value) for path, value in plan.overrides}
    if plan.nuisance is not None:
        values["tuning"] = f"{plan.nuisance.all_words} ({plan.nuisance.digest})"
    if plan.study.looks is not None:
        values["looks"] = f"{plan.study.looks.words} ({plan.study.looks.digest})"
    return values


def _factors(plan: Plan) -> dict[str, PlannedFactor]:
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
    }


def _varying(recipes: Sequence[Mapping[str, Any]]) -> list[str]:
    """The fields that are not the same in all `recipes`, sorted; an absent one is None."""
    first = recipes[0]
    differ = {path for recipe in recipes[1:] for path, _ in recipe.items() ^ first.items()}
    return sorted(path for path in differ if any(r.get(path) != first.get(path) for r in recipes))
