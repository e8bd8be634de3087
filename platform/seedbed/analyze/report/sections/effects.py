"""Effects against the baseline: every level of every factor."""

from __future__ import annotations

import math

from seedbed.analyze.findings.study import Findings, ResponseFindings
from seedbed.analyze.numbers import NONE, p_value
from seedbed.analyze.report.page import Section, Table, noted_table
from seedbed.analyze.report.shared import shared
from seedbed.analyze.stats.chosen_error import WORDS
from seedbed.analyze.stats.comparison import of_term
from seedbed.analyze.trials.observations import label_text


def effects(findings: Findings) -> Section:
    """Every level against its baseline."""
    unit, names = findings.primary.unit, list(findings.factors)
    kind = shared(findings)
    words = f"{unit.label} at each level minus the baseline level{kind.within}"
    words += ", in points. " if unit.is_fraction else ". "
    if findings.num_seeds > 1:
        words += _dots(findings) + f"{WORDS[findings.primary.error]}."
    if kind.within and findings.primary.error != "unequal" and findings.num_seeds > 2:
        assumed = "It takes cells to vary alike"
        if findings.primary.error == "cells":
            assumed = kind.assumed
        words += (
            f" {assumed}; the interval by seed does not, and pays in width: it rests on "
            f"{kind.value}."
        )
    tables = [contrast_table(findings.primary, name) for name in names]
    drawn = [f"contrasts_{name}" for name in names]
    return Section("Effects against the baseline", [words], drawn, tables)


def _dots(findings: Findings) -> str:
    """Up to what the interval rests on: runs that share nothing are no pairs to be drawn."""
    if not findings.design.paired:
        return "The bar is the 95 % interval, "
    words = "Small dots are the raw differences of single seeds"
    if findings.levelled is not findings.trials:
        words += ", less what the halves differ by"
    words += ", at every level of the other factors. " if len(findings.factors) > 1 else ". "
    return f"{words}The bar is the 95 % interval of their mean, "


def contrast_table(response: ResponseFindings, factor: str) -> Table:
    unit, contrasts = response.unit, of_term(response.contrasts, factor)
    both = any(not math.isnan(one.by_seed_low) for one in contrasts)
    rows = [
        [
            one.label,
            unit.difference(one.estimate),
            unit.interval(one.conf_low, one.conf_high),
            *([unit.interval(one.by_seed_low, one.by_seed_high)] if both else []),
            NONE if math.isnan(one.df) else f"{one.df:.3g}",
            p_value(one.p_adjusted),
        ]
        for one in contrasts
    ]
    suffix = f", {unit.difference_unit}" if unit.difference_unit else ""
    difference = f"Difference from {label_text(contrasts[0].baseline)}{suffix}"
    header = [factor, difference, "95 % interval", *(["by seed"] if both else []), "df", "p (Holm)"]
    numeric = frozenset(range(1, len(header)))
    return noted_table(header, rows, numeric, [one.note for one in contrasts])
