"""The looks of a study that stops by its own rule: what each saw, and what it decided."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from seedbed.analyze.findings.judged import (
    INCONCLUSIVE,
    NOT_ESTIMABLE,
    Judged,
    JudgedContrast,
)
from seedbed.analyze.findings.response import find_response
from seedbed.analyze.findings.verdicts import judge
from seedbed.analyze.numbers import counted, listed, unit_of
from seedbed.analyze.stats.chosen_error import BLOCK, block_of, chosen_error
from seedbed.analyze.stats.comparison import Comparison, Estimate
from seedbed.analyze.stats.looked import Looked
from seedbed.analyze.trials.confounds import Alias
from seedbed.analyze.trials.observations import completed
from seedbed.plan.about import is_about, scale_of
from seedbed.plan.design import Design
from seedbed.study.looks import Looks


@dataclass(frozen=True)
class LookTaken:
    """A look, by number from 1: the `claims` as they were judged at it, or the main effect whose
    interval was the `widest`; whether the study stops, and why."""

    number: int
    num_seeds: int
    num_completed: int
    stops: bool
    why: str
    claims: tuple[Judged, ...] = ()
    widest: Comparison | None = None


def looked_at(design: Design, trials: pd.DataFrame) -> Looked | None:
    """How the intervals of these trials are made; None for a study that declares no looks."""
    if design.sequential is None:
        return None
    num_cells = len({trial.cell for trial in design.trials})
    num_seeds = int(trials.loc[completed(trials), BLOCK].nunique())
    return Looked(design.sequential, num_cells, num_seeds)


def looks_taken(
    design: Design,
    trials: pd.DataFrame,
    baselines: Mapping[str, Any],
    aliases: Sequence[Alias],
) -> list[LookTaken]:
    """Every look whose trials have all ended, by these trials as they stand now.

    Empty for a study that declares no looks."""
    looks, taken = design.sequential, []
    if looks is None:
        return []
    seeds = list(dict.fromkeys(trial.seed for trial in design.trials))
    for number, num_seeds in enumerate(looks.counts, 1):
        own = trials[trials[BLOCK].isin(seeds[:num_seeds])].reset_index(drop=True)
        waiting = own["status"].isin(["interrupted", "never_started"]).any()
        if num_seeds > len(seeds) or waiting or not completed(own).any():
            break
        looked = looked_at(design, own)
        assert looked is not None
        told: dict[str, Any] = {}
        if looks.by_claims:
            told["claims"] = tuple(_judged(design, own, aliases, looked))
            undecided = _undecided(told["claims"], looked)
        else:
            told["widest"] = _widest(design, own, baselines, looked)
            undecided = _too_wide(told["widest"], looks)
        at_most = num_seeds == looks.most
        why = undecided or _why_decided(told, looked)
        if at_most and undecided:
            why = f"{undecided}; these are the most seeds"
        done = int(completed(own).sum())
        stops = at_most or not undecided
        taken.append(LookTaken(number, num_seeds, done, stops, why, **told))
    return taken


def _judged(
    design: Design, trials: pd.DataFrame, aliases: Sequence[Alias], looked: Looked
) -> list[Judged]:
    judged, scale = [], scale_of(design)
    for stated in design.claims:
        if not is_about(stated.claim, scale):
            continue  # it gets no verdict, however many seeds there are
        name = stated.claim.response or design.responses[0]
        if name in trials.columns:
            judged.append(
                judge(
                    stated, trials, list(design.factors), unit_of(design.metric(name), []),
                    block=block_of(design), error=chosen_error(design, trials, name),
                    aliases=aliases, scale=scale, looked=looked,
                )
            )  # fmt: skip
    return judged


def _undecided(claims: Sequence[Judged], looked: Looked) -> str:
    """Which claims more seeds may decide, in words; "" for none."""
    if not claims:
        return "no claim can be judged at this scale"
    waiting = [
        one.id
        for one in claims
        if one.verdict in (INCONCLUSIVE, NOT_ESTIMABLE) and not is_futile(one, looked)
    ]
    return f"{listed(waiting)} {'is' if len(waiting) == 1 else 'are'} open" if waiting else ""


def is_futile(judged: Judged, looked: Looked) -> bool:
    """Whether a claim is open, and the most seeds would hardly decide it."""
    if judged.verdict != INCONCLUSIVE or not looked.looks.least_chance:
        return False
    return chance_of(judged, looked) < looked.looks.least_chance


def chance_of(judged: Judged, looked: Looked) -> float:
    """How likely the most seeds would decide an open claim: its least likely contrast."""
    own = [one for one in judged.contrasts if one.verdict == INCONCLUSIVE]
    chances = [
        looked.chance(_estimate(one), one.direction, one.margin, judged.alpha) for one in own
    ]
    return min((chance for chance in chances if not math.isnan(chance)), default=math.nan)


def _estimate(one: JudgedContrast) -> Estimate:
    nan = math.nan
    return Estimate(one.difference, one.se, one.df, nan, one.p, one.ci_low, one.ci_high, one.note)


def _widest(
    design: Design, trials: pd.DataFrame, baselines: Mapping[str, Any], looked: Looked
) -> Comparison | None:
    """The main effect of the primary response that is known least; None where one has no error."""
    contrasts = find_response(design, trials, design.responses[0], baselines, looked).contrasts
    if not contrasts or not all(math.isfinite(one.half_width) for one in contrasts):
        return None
    return max(contrasts, key=lambda one: one.half_width)


def _too_wide(widest: Comparison | None, looks: Looks) -> str:
    if widest is None:
        return "a main effect has no interval"
    if 2 * widest.half_width <= float(looks.until):
        return ""
    return f"the interval of {widest.term} {widest.words} is wider than {looks.until:g}"


def _why_decided(told: Mapping[str, Any], looked: Looked) -> str:
    if "widest" in told:
        return f"no interval of a main effect is wider than {looked.looks.until:g}"
    claims: Sequence[Judged] = told["claims"]
    futile = [one for one in claims if is_futile(one, looked)]
    if not futile:
        return f"{counted(len(claims), 'claim')} decided"
    least = f"{100 * looked.looks.least_chance:g} %"
    return (
        f"{listed([one.id for one in futile])} open, with a chance under {least} of being decided "
        f"by {looked.looks.most} seeds"
    )
