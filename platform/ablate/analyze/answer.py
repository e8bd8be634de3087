"""The answer in sentences: what moved the primary response, and what cannot be told."""

from __future__ import annotations

import math
from typing import Any

from ablate.analyze.columns import label_text
from ablate.analyze.drawing import rows_of
from ablate.analyze.findings import Findings
from ablate.analyze.wording import Unit, counted, listed, p_value

_ALPHA = 0.05


def answer(found: Findings) -> str:
    """The study's question answered in a sentence or two, interval first."""
    if found.num_completed == 0:
        return "No trial has completed yet: there is nothing to report."
    if found.primary.fault:
        return f"There is no answer yet. {found.primary.fault}"
    sentences = [_of_factor(found, name) for name in found.factors]
    return " ".join([*sentences, *_interaction(found)])


def caveats(found: Findings) -> list[str]:
    """What limits the answer, each in a sentence; empty for a complete study of 3 seeds or more."""
    words = []
    if len(found.missing):
        statuses = found.missing["status"].value_counts()
        parts = [f"{statuses[s]} {str(s).replace('_', ' ')}" for s in sorted(statuses.index)]
        words.append(
            f"{counted(len(found.missing), 'trial')} of {len(found.trials)} "
            f"{'is' if len(found.missing) == 1 else 'are'} missing ({listed(parts)}); "
            "the numbers rest on the completed ones."
        )
    if found.num_seeds == 1:
        words.append(
            "One seed: differences are as measured. There is no error to judge them by, so no "
            "interval and no p is given."
        )
    elif found.num_seeds == 2:
        words.append("Two seeds: intervals rest on the error pooled over all cells.")
    notes = [str(note) for note in found.primary.contrasts.get("note", []) if note]
    if any("fragile" in note for note in notes):
        words.append("A difference marked fragile could change sign with the diverged trials.")
    return words


def _of_factor(found: Findings, factor: str) -> str:
    """How each level differs from the baseline, told apart or not."""
    unit = found.primary.unit
    table = found.primary.contrasts
    rows = rows_of(table[table["factor"] == factor])
    base = f"{factor} {label_text(found.baselines[factor])}"
    measured = [row for row in rows if not math.isnan(row["difference"])]
    if not measured:
        return f"What {factor} does cannot be estimated from the completed trials."
    if all(math.isnan(row["p_adjusted"]) for row in measured):
        parts = [f"{unit.difference(row['difference'])} at {_label(row)}" for row in measured]
        words = f"Against {base}, {unit.spoken()} differs as measured by {listed(parts)}"
        return f"{words} {unit.difference_unit}".rstrip() + "."
    apart = [row for row in measured if row["p_adjusted"] < _ALPHA]
    same = [row for row in measured if not row["p_adjusted"] < _ALPHA]
    parts = [f"{_moved(unit, row)}" for row in apart]
    start = f"Against {base}, {unit.spoken()} "
    untold = [f"{_label(row)} ({_gap(unit, row)})" for row in same]
    if not apart:
        return start + f"cannot be told apart at {listed(untold)}."
    tail = f"; {listed(untold)} cannot be told from it" if untold else ""
    return start + listed(parts) + tail + "."


def _moved(unit: Unit, row: dict[str, Any]) -> str:
    verb = "rises" if row["difference"] > 0 else "falls"
    size = unit.difference(abs(row["difference"])).lstrip("+")
    ends = sorted(abs(row[end]) for end in ("ci_low", "ci_high"))
    if row["ci_low"] <= 0 <= row["ci_high"]:
        limits = unit.interval(row["ci_low"], row["ci_high"])
    else:
        limits = unit.interval(*ends).replace("+", "")
    points = f" {unit.difference_unit}" if unit.difference_unit else ""
    return f"{verb} by {size}{points} [{limits}] at {_label(row)}"


def _gap(unit: Unit, row: dict[str, Any]) -> str:
    return f"{unit.difference(row['difference'])} [{unit.interval(row['ci_low'], row['ci_high'])}]"


def _label(row: dict[str, Any]) -> str:
    return label_text(row["level"])


def _interaction(found: Findings) -> list[str]:
    """A warning beside main effects that depend on another factor."""
    table = found.primary.anova
    told = [
        f"the effect of {' depends on '.join(str(term).split(':'))} (p {p_value(float(p))})"
        for term, p in zip(table.index, table["p"], strict=True)
        if ":" in str(term) and p < _ALPHA
    ]
    if not told:
        return []
    words = listed(told)
    return [f"{words[0].upper()}{words[1:]}: read the simple effects, not the averages alone."]
