"""Everything the report states about a study, computed once: the tables behind every sentence."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seedbed.analyze.findings.budget import against_budget
from seedbed.analyze.findings.budget_effects import AgainstBudget
from seedbed.analyze.findings.cells import find_cells
from seedbed.analyze.findings.judged import Judged
from seedbed.analyze.findings.levels import baseline_first, baseline_of, paths_of
from seedbed.analyze.findings.looks import LookTaken, looked_at, looks_taken
from seedbed.analyze.findings.outlook import Outlook, look_ahead
from seedbed.analyze.findings.response import BLOCK as BLOCK
from seedbed.analyze.findings.response import ResponseFindings as ResponseFindings
from seedbed.analyze.findings.response import find_response
from seedbed.analyze.findings.scored import effects_on_tests, errors_of_tests, scored_tests
from seedbed.analyze.findings.verdicts import judge, not_judged
from seedbed.analyze.numbers import Unit, unit_of
from seedbed.analyze.stats.chosen_error import block_of
from seedbed.analyze.stats.comparison import adjusted
from seedbed.analyze.stats.components import variance_components
from seedbed.analyze.stats.halves import levelled
from seedbed.analyze.stats.looked import Looked
from seedbed.analyze.stats.missing import missing_trials
from seedbed.analyze.stats.two_level import effects_two_level
from seedbed.analyze.trials.confounds import Alias, hidden_aliases
from seedbed.analyze.trials.observations import AnalysisError, completed
from seedbed.plan.about import scale_of
from seedbed.plan.design import Design
from seedbed.study.recorded import DEVICE_HOURS

COST = DEVICE_HOURS.name


@dataclass(frozen=True)
class Findings:
    """A study's analysis. `trials` has each factor's baseline as its first level.

    `levelled` are the trials without what the halves of a folded fraction differ by, for what shows
    bare trials and cells (see `halves`).

    `tests` are the responses that are a test set's top-1, with the chance level of each, and
    `by_test` says what the effects on them differ by, empty for fewer than two.
    """

    design: Design
    trials: pd.DataFrame
    levelled: pd.DataFrame
    factors: dict[str, list[Any]]
    baselines: dict[str, Any]
    primary: ResponseFindings
    secondary: list[ResponseFindings]
    missing: pd.DataFrame
    aliases: list[Alias]
    cells: pd.DataFrame
    cost: Unit | None
    claims: list[Judged]
    outlook: Outlook | None
    components: pd.DataFrame
    two_level: pd.DataFrame | None
    test_errors: pd.DataFrame
    looks: list[LookTaken]
    tests: dict[str, float]
    by_test: pd.DataFrame
    budget: AgainstBudget | None = None

    @property
    def num_completed(self) -> int:
        return len(self.trials) - len(self.missing)

    @property
    def num_seeds(self) -> int:
        """Seeds with a completed trial."""
        return int(self.trials.loc[completed(self.trials), "seed"].nunique())


def find(
    design: Design,
    trials: pd.DataFrame,
    correct: Mapping[str, NDArray[np.bool_]] | None = None,
) -> Findings:
    """The analysis of every response of `design`; the first one is primary.

    `correct` has, by trial key, which test pictures were right by the primary response [n].

    Secondary p values are adjusted together (Benjamini & Hochberg), the primary's within each
    factor (Holm). Raises AnalysisError when the design names no response or factor.
    """
    if not design.responses or not design.factors:
        raise AnalysisError(
            "The design names no response or no factor.", mend="Name at least one of each."
        )
    baselines = {name: baseline_of(factor) for name, factor in design.factors.items()}
    ordered = baseline_first(trials, baselines)
    factors = {name: list(ordered[name].cat.categories) for name in baselines}
    looked = looked_at(design, ordered)
    responses = [
        find_response(design, ordered, name, baselines, looked) for name in design.responses
    ]
    two_level = _two_level(ordered, responses[0], factors, block_of(design))
    responses[0] = primary = _finely(responses[0], ordered, two_level)
    costs = [name for name in (COST, *_costs(design, ordered)) if name in ordered.columns]
    cost = costs[0] if costs and costs[0] != design.responses[0] else None
    # A nuisance field is where each cell does best: what it moves with is no accident.
    tuned = design.tuned.nuisance.paths if design.tuned is not None else ()
    found = hidden_aliases(ordered, paths_of(design))
    aliases = [alias for alias in found if alias.field not in tuned]
    tests = scored_tests(design, ordered)
    block, level = block_of(design), levelled(design, ordered, primary.unit.name)
    return Findings(
        design=design,
        trials=ordered,
        levelled=level,
        factors=factors,
        baselines=baselines,
        primary=primary,
        secondary=_adjusted_together(responses[1:]),
        missing=missing_trials(ordered, list(baselines)),
        aliases=aliases,
        cells=find_cells(level, primary.unit, cost, list(baselines), BLOCK if block else None),
        cost=unit_of(design.metric(cost), ordered[cost]) if cost else None,
        claims=_claims(design, ordered, responses, aliases, looked),
        outlook=None
        if primary.fault
        else _outlook(ordered, primary, list(baselines), cost, design.order, block),
        components=_components(ordered, primary, list(baselines), block),
        two_level=two_level,
        test_errors=errors_of_tests(design, ordered, primary, baselines, correct or {}),
        looks=looks_taken(design, ordered, baselines, aliases),
        budget=None
        if primary.fault
        else against_budget(design, ordered, primary.unit.name, factors),
        tests=tests,
        by_test=effects_on_tests(design, ordered, tests, list(baselines)),
    )


def _claims(
    design: Design,
    trials: pd.DataFrame,
    responses: list[ResponseFindings],
    aliases: list[Alias],
    looked: Looked | None,
) -> list[Judged]:
    """The verdicts on the design's claims, in their order."""
    by_name, block = {response.unit.name: response for response in responses}, block_of(design)
    judged = []
    for stated in design.claims:
        named = stated.claim.response
        response = by_name.get(named or responses[0].unit.name)
        if response is None:  # not to be answered by another one
            unit, known = unit_of(design.metric(named), []), ", ".join(by_name)
            why = f"its response {named} is none of this report's, which are {known}"
            judged.append(not_judged(stated, unit, why))
            continue
        judged.append(
            judge(
                stated, trials, list(design.factors), response.unit,
                block=block, error=response.error, aliases=aliases, scale=scale_of(design),
                looked=looked,
            )
        )  # fmt: skip
    return judged


def _outlook(
    trials: pd.DataFrame,
    response: ResponseFindings,
    factors: list[str],
    cost: str | None,
    order: int,
    block: str | None,
) -> Outlook:
    return look_ahead(
        trials, response.unit.name, factors, [*response.contrasts, *response.interactions],
        block=block, cost=cost or "", error=response.error, order=order,
    )  # fmt: skip


def _components(
    trials: pd.DataFrame, response: ResponseFindings, factors: list[str], block: str | None
) -> pd.DataFrame:
    if response.fault or block is None:
        return pd.DataFrame()
    return variance_components(trials, response.unit.name, factors, block=block)


def _finely(
    response: ResponseFindings, trials: pd.DataFrame, two_level: pd.DataFrame | None
) -> ResponseFindings:
    """With as many decimals as Lenth's margin carries, where there is no interval to say."""
    if two_level is None or response.fault or any(one.has_interval for one in response.contrasts):
        return response
    values = trials[response.unit.name].astype(float)
    return replace(response, unit=unit_of(response.unit.metric, values, [two_level.attrs["ME"]]))


def _two_level(
    trials: pd.DataFrame,
    response: ResponseFindings,
    factors: Mapping[str, list[Any]],
    block: str | None,
) -> pd.DataFrame | None:
    """Every effect of a design of two-level factors, judged; None for others."""
    if len(factors) < 2 or any(len(levels) != 2 for levels in factors.values()):
        return None
    try:
        return effects_two_level(
            trials, response.unit.name, list(factors), block=block, error=response.error
        )
    except AnalysisError:  # with cells missing its effects are not those of the design
        return None


def _costs(design: Design, trials: pd.DataFrame) -> list[str]:
    names = [str(name) for name in trials.columns]
    return [name for name in names if design.metric(name).is_cost]


def _adjusted_together(responses: list[ResponseFindings]) -> list[ResponseFindings]:
    """Secondary responses are one family: their contrasts' p values by Benjamini & Hochberg."""
    family = iter(adjusted([one for r in responses for one in r.contrasts], "bh"))
    return [
        replace(r, contrasts=list(itertools.islice(family, len(r.contrasts)))) for r in responses
    ]
