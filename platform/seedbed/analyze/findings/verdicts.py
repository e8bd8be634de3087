"""Judges the claims that a study stated before its first trial: one of five verdicts each.

A claim holds when all of its contrasts do, so each is tested at the claim's whole alpha
(intersection-union test; Berger 1982, Technometrics 24:295). It is refuted when one of them lies
outside of what was claimed by an interval of 1 - alpha / (number of contrasts). Claims are not
adjusted for one another: each was stated on its own. A claim about another scale than that of the
trials gets no verdict: what was seen is said, and no more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from seedbed.analyze.findings.claim_precision import Precision, precision
from seedbed.analyze.findings.judged import (
    AGAINST,
    ALIASED,
    IN_FAVOUR,
    INCONCLUSIVE,
    NOT_ESTIMABLE,
    OPEN,
    REFUTED,
    SUPPORTED,
    Judged,
    JudgedContrast,
)
from seedbed.analyze.numbers import Unit, listed
from seedbed.analyze.stats.comparison import Comparison
from seedbed.analyze.stats.fit import Fit
from seedbed.analyze.stats.looked import Looked
from seedbed.analyze.stats.margins import interval, lies, lies_outside, p_against
from seedbed.analyze.stats.means import compared
from seedbed.analyze.trials.confounds import Alias
from seedbed.analyze.trials.observations import AnalysisError, completed, observe
from seedbed.plan.about import is_about
from seedbed.plan.design import StatedClaim
from seedbed.study.claim import Claim
from seedbed.study.contrast import Contrast


def judge(
    stated: StatedClaim,
    trials: pd.DataFrame,
    factors: Sequence[str],
    unit: Unit,
    *,
    block: str | None = "seed",
    error: str = "pooled",
    aliases: Sequence[Alias] = (),
    scale: str = "",
    looked: Looked | None = None,
) -> Judged:
    """The verdict on a stated claim by the completed trials.

    `unit` is that of the claim's response, `scale` that of the trials, "" for any; with `looked`
    its intervals hold at all looks together. A level that
    does not exist, a constant response or a lack of trials gives "not estimable" in words, never
    an exception.
    """
    claim = stated.claim
    if not is_about(claim, scale):
        judged = judge(
            stated, trials, factors, unit, block=block, error=error, aliases=aliases, looked=looked
        )
        return _only_seen(judged, scale)
    try:
        contrasts = tuple(
            _judged_contrast(one, trials, factors, unit, block, error, claim, looked)
            for one in claim.contrasts
        )
    except AnalysisError as fault:
        # A mend that names the nearest level is of use here; other mends are for tables.
        hint = f" {fault.mend}" if fault.mend.startswith("Did you") else ""
        return _answer(stated, unit, NOT_ESTIMABLE, (), f"{fault.what}{hint}")
    involved = {name for one in claim.contrasts for name in _factors_of(one)}
    with_them = [alias for alias in aliases if involved & set(alias.factors)]
    if with_them:
        fields = listed([alias.field for alias in with_them])
        why = (
            f"{fields} {'changes' if len(with_them) == 1 else 'change'} with "
            f"{listed(sorted({n for a in with_them for n in a.factors}))}, so the trials speak of "
            "the bundle, not of what is claimed"
        )
        return _answer(stated, unit, ALIASED, contrasts, why)
    verdicts = [one.verdict for one in contrasts]
    if REFUTED in verdicts:
        verdict = REFUTED
    elif ALIASED in verdicts or NOT_ESTIMABLE in verdicts:
        verdict = ALIASED if ALIASED in verdicts else NOT_ESTIMABLE
    else:
        verdict = SUPPORTED if set(verdicts) == {SUPPORTED} else INCONCLUSIVE
    # A study with looks of its own gets no other seeds than those that it stated.
    is_open = verdict == INCONCLUSIVE and looked is None
    ahead = _precision(contrasts, trials, claim.alpha) if is_open else ()
    why = next((one.note for one in contrasts if one.verdict == verdict and one.note), "")
    return _answer(stated, unit, verdict, contrasts, why, ahead)


def _factors_of(one: Contrast) -> tuple[str, ...]:
    """The factors that a contrast names."""
    return (one.of, *one.at, *one.less_at)


def _judged_contrast(
    one: Contrast,
    trials: pd.DataFrame,
    factors: Sequence[str],
    unit: Unit,
    block: str | None,
    error: str,
    claim: Claim,
    looked: Looked | None,
) -> JudgedContrast:
    measured = estimated(one, trials, factors, unit.name, block=block, error=error)
    direction, margin = one.direction, one.margin
    level = 1 - (2 if direction == "within" else 1) * claim.alpha
    between = interval if looked is None else looked.interval
    low, high = between(measured, level)
    wide_low, wide_high = between(measured, 1 - claim.alpha / len(claim.contrasts))
    p_of = p_against if looked is None else looked.p_against
    verdict, note = INCONCLUSIVE, measured.note
    if math.isnan(measured.estimate):
        verdict, note = _why_not(one, trials, factors, unit.name, block, note)
    elif lies(low, high, direction, margin):
        verdict = SUPPORTED
    elif lies_outside(wide_low, wide_high, direction, margin):
        verdict = REFUTED
    return JudgedContrast(
        one, measured.estimate, measured.std_error, measured.df,
        p_of(measured, direction, margin), low, high, verdict, note,
    )  # fmt: skip


def estimated(
    one: Contrast,
    trials: pd.DataFrame,
    factors: Sequence[str],
    response: str,
    *,
    block: str | None = "seed",
    error: str = "pooled",
) -> Comparison:
    """A claim's contrast, in the model that holds as many crossed factors as it names."""
    seen = observe(trials, response, factors, block)
    for name in _factors_of(one):
        if name not in seen.factors:
            raise AnalysisError(f"The study has no factor '{name}'.")
    fit = Fit(seen, max(2, 1 + len(one.at)), error)
    return compared(fit, one.of, one.level, one.over, one.at, one.less_at)


def _why_not(
    one: Contrast,
    trials: pd.DataFrame,
    factors: Sequence[str],
    response: str,
    block: str | None,
    note: str,
) -> tuple[str, str]:
    """Whether all planned trials together could have told: if not, the design aliases it."""
    whole = trials.drop(columns=["status"], errors="ignore").copy()
    whole[response] = np.arange(len(whole), dtype=float) ** 2 % 17
    if math.isnan(estimated(one, whole, factors, response, block=block).estimate):
        return ALIASED, "the planned cells cannot tell it apart from other effects"
    return NOT_ESTIMABLE, note.removeprefix("not estimable: ")


def _precision(
    judged: Sequence[JudgedContrast], trials: pd.DataFrame, alpha: float
) -> tuple[Precision, ...]:
    """What more seeds would show of the contrasts that are open."""
    open_ones = [one for one in judged if one.verdict == INCONCLUSIVE]
    if "seed" not in trials.columns:
        return ()
    # Two one-sided tests at alpha each: an interval of 1 - 2 alpha.
    errors = [(one.se, one.df) for one in open_ones]
    level = 2 * alpha if all(one.direction == "within" for one in open_ones) else alpha
    done = trials.loc[completed(trials), "seed"]
    return precision(errors, int(done.nunique()), level)


def not_judged(stated: StatedClaim, unit: Unit, why: str) -> Judged:
    """Of a claim that the trials cannot speak of, for the reason `why`."""
    return _answer(stated, unit, NOT_ESTIMABLE, (), why)


def _answer(
    stated: StatedClaim,
    unit: Unit,
    verdict: str,
    contrasts: tuple[JudgedContrast, ...],
    why: str,
    ahead: tuple[Precision, ...] = (),
) -> Judged:
    claim = stated.claim
    return Judged(
        id=claim.id,
        statement=claim.statement,
        response=unit.name,
        alpha=claim.alpha,
        source=claim.source,
        stated=stated.stated,
        verdict=verdict,
        why=why,
        contrasts=contrasts,
        precision=ahead,
        scale=claim.scale,
    )


def _only_seen(judged: Judged, scale: str) -> Judged:
    """The same without a verdict: on which side of what was claimed the trials lie."""
    return replace(
        judged,
        verdict=None,
        why="" if judged.verdict in (SUPPORTED, REFUTED, INCONCLUSIVE) else judged.why,
        contrasts=tuple(replace(one, verdict=None, seen=_seen(one)) for one in judged.contrasts),
        precision=(),
        seen_at=scale,
    )


def _seen(one: JudgedContrast) -> str:
    if one.verdict in (SUPPORTED, REFUTED):
        return IN_FAVOUR if one.verdict == SUPPORTED else AGAINST
    if math.isnan(one.difference) or not math.isnan(one.se):
        return OPEN if one.verdict == INCONCLUSIVE else ""
    # No error to judge it by: the side that it was measured on.
    there = lies(one.difference, one.difference, one.direction, one.margin)
    return IN_FAVOUR if there else AGAINST
