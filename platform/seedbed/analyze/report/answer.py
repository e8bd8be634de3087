"""The answer in sentences: what changed the primary response, and what the trials cannot tell."""

from __future__ import annotations

import itertools
import math
from typing import Any

from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import Unit, counted, listed, p_value
from seedbed.analyze.report.page import sentence
from seedbed.analyze.report.sections.claims import tally
from seedbed.analyze.report.sections.planted_claims import truth_words
from seedbed.analyze.trials.observations import label_text
from seedbed.analyze.trials.rows import rows_of
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


def caveats(findings: Findings) -> list[str]:
    """What limits the answer, each in a sentence; empty for a complete study of 3 seeds or more."""
    words = []
    if findings.design.rehearsal is not None:
        words.append(
            "A rehearsal: no model was trained. Every number is made from a response surface, to "
            "see what this study could find before it is paid for."
        )
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
    if findings.num_seeds == 1:
        words.append(
            "One seed: differences are as measured. There is no error to judge them by, so no "
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
    words += _looks(findings)
    notes = [str(note) for note in findings.primary.contrasts.get("note", []) if note]
    if any("fragile" in note for note in notes):
        words.append("A difference marked fragile could change sign with the diverged trials.")
    return words


def _two_seeds(findings: Findings) -> list[str]:
    """What the intervals of a two-seed study are based on, or why there are none."""
    table = findings.primary.contrasts
    if table.empty:
        return []
    if table["ci_low"].notna().any():
        return ["Two seeds: intervals rest on the error pooled over all cells."]
    why = next((str(note) for note in table["note"] if note), "two seeds: no error to judge by")
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
    return rests and bool(findings.primary.contrasts["ci_low"].notna().any())


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
    table = findings.primary.contrasts
    rows = rows_of(table[table["factor"] == factor])
    base = f"{factor} {label_text(findings.baselines[factor])}"
    measured = [row for row in rows if not math.isnan(row["difference"])]
    if not measured:
        return f"What {factor} does cannot be estimated from the completed trials."
    if all(math.isnan(row["p_adjusted"]) for row in measured):
        sizes = [unit.difference(row["difference"]) for row in measured]
        sizes[0] = f"{sizes[0]} {unit.difference_unit}".rstrip()
        parts = [f"{s} at {factor} {_label(r)}" for s, r in zip(sizes, measured, strict=True)]
        return f"Against {base}, {unit.spoken()} differs as measured by {listed(parts)}."
    apart = [row for row in measured if row["p_adjusted"] < _ALPHA]
    same = [row for row in measured if not row["p_adjusted"] < _ALPHA]
    moves = []
    for verb, rows in (
        ("falls", [row for row in apart if row["difference"] < 0]),
        ("rises", [row for row in apart if row["difference"] >= 0]),
    ):
        sizes = [_size(unit, row, factor, with_unit=i == 0) for i, row in enumerate(rows)]
        if sizes:
            moves.append(f"{verb} {listed(sizes)}")
    parts = [f"Against {base}, {unit.spoken()} {' and '.join(moves)}"] if moves else []
    if same:
        untold = listed([f"{factor} {_label(row)} ({_inside(unit, row)})" for row in same])
        words = f"{untold} cannot be told from {'it' if moves else base}"
        if any(row["ci_low"] > 0 or row["ci_high"] < 0 for row in same):
            # Significant by itself, but not after Holm's correction over the factor's levels.
            words += f" where all {len(measured)} comparisons are allowed for (Holm)"
        parts.append(words if moves else f"{unit.label} at {words}")
    return "; ".join(parts) + "."


def _size(unit: Unit, row: dict[str, Any], factor: str, *, with_unit: bool) -> str:
    """`by 6.30 points [5.78 to 6.82] at depth 1`; the sign is in the verb."""
    size = unit.difference(abs(row["difference"])).lstrip("+")
    sign = 1 if row["difference"] > 0 else -1
    ends = sorted(sign * row[end] for end in ("ci_low", "ci_high"))
    limits = " to ".join(unit.difference(end).lstrip("+") for end in ends)
    points = f" {unit.difference_unit}" if with_unit and unit.difference_unit else ""
    return f"by {size}{points} [{limits}] at {factor} {_label(row)}"


def _gap(unit: Unit, row: dict[str, Any], unit_word: str = "") -> str:
    size = f"{unit.difference(row['difference'])}{unit_word}"
    return f"{size} [{unit.interval(row['ci_low'], row['ci_high'])}]"


def _inside(unit: Unit, row: dict[str, Any]) -> str:
    """The same, for use inside brackets."""
    return f"{unit.difference(row['difference'])}, {unit.interval(row['ci_low'], row['ci_high'])}"


def _label(row: dict[str, Any]) -> str:
    return label_text(row["level"])


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
    table = findings.primary.interactions
    own = table[(table["a"] == a) & (table["b"] == b) & (table["kind"] == "interaction")]
    return float(own["p_adjusted"].astype(float).min())


def _simple_effects(findings: Findings, a: str, b: str) -> str:
    """The effect, at every level of `b`, of the level of `a` that interacts most."""
    unit, table = findings.primary.unit, findings.primary.interactions
    rows = rows_of(table[(table["a"] == a) & (table["b"] == b)])
    crossed = [r for r in rows if r["kind"] == "interaction" and not math.isnan(r["difference"])]
    if not crossed:
        return "read the simple effects, not the averages alone"
    most = max(crossed, key=lambda row: abs(row["difference"]))["a_level"]
    simple = [r for r in rows if r["kind"] == "simple" and r["a_level"] == most]
    gaps = [
        _gap(unit, row, unit_word=f" {unit.difference_unit}".rstrip() if i == 0 else "")
        for i, row in enumerate(simple)
    ]
    parts = [f"by {g} at {label_text(r['b_level'])}" for g, r in zip(gaps, simple, strict=True)]
    base = label_text(findings.baselines[a])
    start = f"{a} {label_text(most)} against {base} changes {unit.spoken()}"
    return f"{start} {listed(parts)}"
