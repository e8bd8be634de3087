"""Trials: one row per planned trial."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import counted
from seedbed.analyze.report.page import Section, Table
from seedbed.analyze.report.shared import shared
from seedbed.analyze.trials.observations import label_text
from seedbed.analyze.trials.rows import rows_of
from seedbed.analyze.trials.table import HALF

_MOST_ROWS = 1_000  # of trials that a page shows


def trial_rows(findings: Findings) -> Section:
    """One row per planned trial; of a study too large to read, where its table is."""
    if len(findings.trials) > _MOST_ROWS:
        words = [
            f"{findings.num_completed} of {counted(len(findings.trials), 'planned trial')} "
            "completed; trials.csv, beside this page, has a row for each.",
            *_origins(findings),
        ]
        return Section("Trials", words, is_small=True)
    shown = [findings.primary, *findings.secondary]
    units = [response.unit for response in shown]
    rows, tones = [], []
    for row in rows_of(findings.trials):
        labels = [label_text(row[name]) for name in findings.factors]
        values = [unit.value(_number(row[unit.name])) for unit in units]
        rows.append([*labels, _repeat(row), row["status"].replace("_", "\u00a0"), *values])
        tones.append("" if row["status"] == "completed" else "missing")
    first = len(findings.factors)
    suffixes = [f"{unit.label}{', %' if unit.is_fraction else ''}" for unit in units]
    header = [*findings.factors, shared(findings).one, "Status", *suffixes]
    columns = frozenset({first, *range(first + 2, len(header))})
    words = [
        f"{findings.num_completed} of {counted(len(findings.trials), 'planned trial')} completed.",
        *_origins(findings),
    ]
    return Section("Trials", words, tables=[Table(header, rows, columns, tones)], is_small=True)


def _repeat(row: Mapping[str, Any]) -> str:
    """`0`, or `0, half 2` of a fraction that was folded over."""
    half = str(row.get(HALF, "")).partition("/")[2]
    return f"{row['seed']}, half {half}" if half else str(row["seed"])


def _origins(findings: Findings) -> list[str]:
    """From which studies trials were taken over: what they compute is the same."""
    if "origin" not in findings.trials.columns:
        return []
    counts = findings.trials["origin"].value_counts()
    taken = [f"{number:,} from {study}" for study, number in counts.items() if study]
    return [f"Trials that another study had trained already: {', '.join(taken)}."] if taken else []


def _number(value: object) -> float:
    """NaN for what is no number: a response that was refused is still shown by its other rows."""
    return float(value) if isinstance(value, int | float) else math.nan
