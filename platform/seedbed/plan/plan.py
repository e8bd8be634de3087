"""A plan: the trials of a study at a scale, grouped into cohorts, with their cost. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from seedbed.metric import Metric
from seedbed.plan.about import check_decidable, is_about, scale_words
from seedbed.plan.cohort import COHORT_SIZE, Cohort, cohorts_of
from seedbed.plan.cost import Cost, counted, estimate
from seedbed.plan.design import (
    Design,
    PlannedFactor,
)
from seedbed.plan.designed import design_of, factors_of
from seedbed.plan.levels import resolved
from seedbed.plan.trainable import trainable
from seedbed.plan.tuned import Tuned
from seedbed.recipe.recipe import content_key
from seedbed.recipe.scale import Scale
from seedbed.study.claim import Claim
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
        return factors_of(self)

    def design(self) -> Design:
        """The design, for the ledger and the analysis; what a run finds out is added to it."""
        return design_of(self)

    def to_json(self) -> dict[str, Any]:
        """What `--plan --json` prints: the design, and what each level and each trial resolves to.

        `resolved` lists the fields that a factor sets, a dictionary for each of its `levels`.
        """
        costs = self.costs()
        design = self.design().to_json()
        for factor in self.study.factors:
            values = resolved(factor, self.trials)
            if factor.name in design["factors"]:  # and is no constant
                own = design["factors"][factor.name]
                own["resolved"] = [values[label] for label in factor.levels]
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
    study = trainable(study, scale, overrides)
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
