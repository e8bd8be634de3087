"""The answer in sentences: what changed the primary response, and what the trials cannot tell."""

from __future__ import annotations

import itertools
import math

from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import Unit, counted, listed, p_value
from seedbed.analyze.report.page import sentence
from seedbed.analyze.report.sections.claims import tally
from seedbed.analyze.report.sections.looks import looks_caveats
from seedbed.analyze.report.sections.planted_claims import truth_words
from seedbed.analyze.stats.chosen_error import RESIDUAL, block_of
from seedbed.analyze.stats.comparison import Comparison, of_term
from seedbed.analyze.trials.observations import label_text
from seedbed.analyze.trials.rows import rows_of
from seedbed.analyze.trials.table import HALF
from seedbed.plan.design import PlannedFactor

_ALPHA = 0.05
_MOST_FIELDS = 6  # named in one sentence; the design has them all


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


def _of_cells(findings: Findings) -> str:
    """Which cells were trained, and what their model leaves out."""
    sizes = [len(levels) for levels in findings.factors.values()]
    planned = len({trial.cell for trial in findings.design.trials})
    every, told = math.prod(sizes), findings.design.cells
    words = f"{planned} of {every} cells were planned: {told}."
    if not findings.design.scale:  # a table that another trainer made
        words = f"The table has {planned} of {every} cells: {told}."
    elif planned == every:
        words = f"All {every} cells were planned: {told}."
    if block_of(findings.design) == HALF:
        words += (
            " The two halves of each seed are blocks of their own: what they differ by, one having "
            "run after the other, is in no difference on this page, and is taken off the means of "
            "cells."
        )
    if findings.design.order > 1:
        return words
    return (
        f"{words} The model has main effects only: where factors act together, their effects hold "
        "a part of that too."
    )


def caveats(findings: Findings) -> list[str]:
    """What limits the answer, each in a sentence; empty for a complete study of 3 seeds or more."""
    words = []
    if findings.design.rehearsal is not None:
        words.append(
            "A rehearsal: no model was trained. Every number is made from a response surface, to "
            "see what this study could find before it is paid for."
        )
    if findings.design.forced:
        words.append(
            f"This study was refused, and run with --force: {'; '.join(findings.design.forced)}."
        )
    if findings.design.cells:
        words.append(_of_cells(findings))
    if len(findings.missing):
        statuses = findings.missing["status"].value_counts()
        parts = [f"{statuses[s]} {str(s).replace('_', ' ')}" for s in sorted(statuses.index)]
        words.append(
            f"{counted(len(findings.missing), 'trial')} of {len(findings.trials)} "
            f"{'is' if len(findings.missing) == 1 else 'are'} missing ({listed(parts)})"
            + ("; the numbers rest on the completed ones." if findings.num_completed else ".")
        )
    words += _bundles(findings)
    words += [
        f"{alias.field} changes with {listed(list(alias.factors))} too: what is said of "
        f"{'it' if len(alias.factors) == 1 else 'them'} is said of the bundle."
        for alias in findings.aliases
    ]
    if findings.num_seeds == 1 and findings.primary.error != RESIDUAL:
        one = "One seed" if findings.design.paired else "One run a cell"
        words.append(
            f"{one}: differences are as measured. There is no error to judge them by, so no "
            "interval and no p is given."
        )
    elif findings.num_seeds == 2:
        words += _two_seeds(findings)
    if findings.primary.error_why:
        words.append(sentence(findings.primary.error_why))
    elif _depends_on_orders(findings):
        words.append(
            "Trials of the same data and seed share their order of samples, and two seeds are too "
            "few to take that into the intervals: those of the data's effects may be too narrow."
        )
    words += looks_caveats(findings) or _looks(findings)
    if any("fragile" in one.note for one in findings.primary.contrasts):
        words.append("A difference marked fragile could change sign with the diverged trials.")
    return words


def _two_seeds(findings: Findings) -> list[str]:
    """What the intervals of a two-seed study are based on, or why there are none."""
    contrasts = findings.primary.contrasts
    if not contrasts:
        return []
    two = "two seeds" if findings.design.paired else "two runs a cell"
    if any(one.has_interval for one in contrasts):
        return [f"{sentence(two)[:-1]}: intervals rest on the error pooled over all cells."]
    why = next((one.note for one in contrasts if one.note), f"{two}: no error to judge by")
    return [sentence(f"{why}: no interval and no p is given")]


def _looks(findings: Findings) -> list[str]:
    """Interim looks: earlier reports of fewer seeds may have decided that more were run."""
    earlier = {look.num_seeds for look in findings.design.looks}
    fewer = sorted(seeds for seeds in earlier if 1 < seeds < findings.num_seeds)
    if not fewer:
        return []
    counts = listed([str(seeds) for seeds in fewer])
    return [
        f"Reports were written before, of {counts} seeds. Each look at which one may stop adds to "
        "the chance of a false finding (a look after every seed up to 20 turns 5 % into 23 %), "
        "and the intervals here do not count the looks."
    ]


def _depends_on_orders(findings: Findings) -> bool:
    rests = (
        findings.primary.whole_plots
        and findings.primary.error == "pooled"
        and findings.num_seeds > 1
    )
    return rests and any(one.has_interval for one in findings.primary.contrasts)


def _bundles(findings: Findings) -> list[str]:
    """A caution for each confounded factor: its levels change more than one part of the recipe."""
    words = []
    for name, factor in findings.design.factors.items():
        moved = factor.also_moves
        if moved:
            shown = moved if len(moved) <= _MOST_FIELDS else moved[: _MOST_FIELDS - 1]
            rest = len(moved) - len(shown)
            fields = listed([*shown, *([f"{rest} other fields"] if rest else [])])
            words.append(
                f"The levels of '{name}' also differ in {fields}: a difference between them is "
                f"not the {name.replace('_', ' ')}'s alone." + _views(factor)
            )
    return words


def _views(factor: PlannedFactor) -> str:
    """Which views each level reads, where levels differ in them; equal levels are grouped."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for label, views in zip(factor.levels, factor.views, strict=False):
        alike.setdefault(views, []).append(label_text(label))
    if not alike:
        return ""
    read = "; ".join(f"{listed(ls)} read {listed(list(views))}" for views, ls in alike.items())
    return f" It is the effect of {factor.name.replace('_', ' ')} + views: {read}."


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
