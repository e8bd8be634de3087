"""The answer in sentences: what changed the primary response."""

from __future__ import annotations

import itertools
import math

from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import Unit, listed, p_value
from seedbed.analyze.report.sections.claims import tally
from seedbed.analyze.report.sections.planted_claims import truth_words
from seedbed.analyze.stats.comparison import Comparison, of_term
from seedbed.analyze.trials.observations import label_text
from seedbed.analyze.trials.rows import rows_of

_ALPHA = 0.05


def answer(findings: Findings) -> list[str]:
    """The answer to the study's question: its first sentence stands alone, the rest supports it."""
    if findings.num_completed == 0:
        return ["No trial has completed yet: there is nothing to report."]
    if findings.primary.fault:
        return [f"There is no answer yet. {findings.primary.fault}"]
    # Where factors interact, main effects are averages over the other factor: they come second.
    sentences = _interactions(findings) + [_of_factor(findings, name) for name in findings.factors]
    prices = [words for name in findings.factors for words in _price(findings, name)]
    sentences += [*tally(findings), *truth_words(findings)]
    return [*sentences, " ".join(prices)] if prices else sentences


def _of_factor(findings: Findings, factor: str) -> str:
    """How each level differs from the baseline, and whether the difference is significant."""
    unit = findings.primary.unit
    base = f"{factor} {label_text(findings.baselines[factor])}"
    contrasts = of_term(findings.primary.contrasts, factor)
    measured = [one for one in contrasts if not math.isnan(one.estimate)]
    if not measured:
        return f"What {factor} does cannot be estimated from the completed trials."
    if all(math.isnan(one.p_adjusted) for one in measured):
        sizes = [unit.difference(one.estimate) for one in measured]
        sizes[0] = f"{sizes[0]} {unit.difference_unit}".rstrip()
        parts = [f"{s} at {factor} {one.label}" for s, one in zip(sizes, measured, strict=True)]
        return f"Against {base}, {unit.spoken()} differs as measured by {listed(parts)}."
    apart = [one for one in measured if one.p_adjusted < _ALPHA]
    same = [one for one in measured if not one.p_adjusted < _ALPHA]
    moves = []
    for verb, moved in (
        ("falls", [one for one in apart if one.estimate < 0]),
        ("rises", [one for one in apart if one.estimate >= 0]),
    ):
        sizes = [_size(unit, one, with_unit=i == 0) for i, one in enumerate(moved)]
        if sizes:
            moves.append(f"{verb} {listed(sizes)}")
    parts = [f"Against {base}, {unit.spoken()} {' and '.join(moves)}"] if moves else []
    if same:
        untold = listed([f"{factor} {one.label} ({_inside(unit, one)})" for one in same])
        words = f"{untold} cannot be told from {'it' if moves else base}"
        if any(one.excludes_zero for one in same):
            # Significant by itself, but not after Holm's correction over the factor's levels.
            words += f" where all {len(measured)} comparisons are allowed for (Holm)"
        parts.append(words if moves else f"{unit.label} at {words}")
    return "; ".join(parts) + "."


def _size(unit: Unit, one: Comparison, *, with_unit: bool) -> str:
    """`by 6.30 points [5.78 to 6.82] at depth 1`; the sign is in the verb."""
    size = unit.difference(abs(one.estimate)).lstrip("+")
    sign = 1 if one.estimate > 0 else -1
    ends = sorted(sign * end for end in (one.conf_low, one.conf_high))
    limits = " to ".join(unit.difference(end).lstrip("+") for end in ends)
    points = f" {unit.difference_unit}" if with_unit and unit.difference_unit else ""
    return f"by {size}{points} [{limits}] at {one.factor} {one.label}"


def _inside(unit: Unit, one: Comparison) -> str:
    """Estimate and interval, for use inside brackets."""
    return f"{unit.difference(one.estimate)}, {unit.interval(one.conf_low, one.conf_high)}"


def _price(findings: Findings, factor: str) -> list[str]:
    """What the levels of a factor cost, as multiples of the baseline level."""
    for response in findings.secondary:
        if findings.cost is None or response.unit.name != findings.cost.name or response.fault:
            continue
        picked = response.means[response.means["factor"] == factor]
        costs = {row["level"]: row["mean"] for row in rows_of(picked)}
        base = costs.pop(findings.baselines[factor])
        shares = {level: cost / base if base else math.nan for level, cost in costs.items()}
        parts = [
            f"{share:.2f} at {label_text(level)}"
            for level, share in shares.items()
            if not math.isnan(share)
        ]
        if parts:
            base_label = f"{factor} {label_text(findings.baselines[factor])}"
            return [f"{response.unit.label} as multiples of {base_label}: {listed(parts)}."]
    return []


def _interactions(findings: Findings) -> list[str]:
    """Which effects depend on another factor, each shown by the level that interacts most."""
    told = []
    for a, b in itertools.combinations(findings.factors, 2):
        p = _interaction_p(findings, a, b)
        if p < _ALPHA:
            shown = _simple_effects(findings, a, b)
            told.append(f"The effect of {a} depends on {b}: {shown} (p {p_value(p)}).")
    return told


def _interaction_p(findings: Findings, a: str, b: str) -> float:
    """The p of the F test; where the error is not pooled, the smallest Holm p of an interaction."""
    if findings.primary.error == "pooled":
        return float(findings.primary.anova["p"].get(f"{a}:{b}", math.nan))
    interactions = of_term(findings.primary.interactions, a, b)
    return min((one.p_adjusted for one in interactions if one.has_interval), default=math.nan)


def _simple_effects(findings: Findings, a: str, b: str) -> str:
    """The effect, at every level of `b`, of the level of `a` that interacts most."""
    unit = findings.primary.unit
    interactions = of_term(findings.primary.interactions, a, b)
    measured = [one for one in interactions if not math.isnan(one.estimate)]
    if not measured:
        return "read the simple effects, not the averages alone"
    most = max(measured, key=lambda one: abs(one.estimate))
    parts: list[str] = []
    for one in of_term(findings.primary.simple_effects, a, b):
        if one.level == most.level:
            points = "" if parts else f" {unit.difference_unit}".rstrip()
            interval = unit.interval(one.conf_low, one.conf_high)
            size = f"{unit.difference(one.estimate)}{points} [{interval}]"
            parts.append(f"by {size} at {label_text(one.at[b])}")
    start = f"{a} {most.label} against {label_text(most.baseline)} changes {unit.spoken()}"
    return f"{start} {listed(parts)}"
