"""What is missing: which trials did not complete, and how often they diverged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import NONE, counted
from seedbed.analyze.report.page import Section, Table
from seedbed.analyze.report.shared import shared
from seedbed.analyze.stats.missing import divergence_rates
from seedbed.analyze.trials.observations import label_text
from seedbed.analyze.trials.rows import cell_label, rows_of
from seedbed.failure import said

_MOST_MISSING = 200


def missing(findings: Findings) -> list[Section]:
    """What did not complete, by name, and how often trials diverged; nothing if all is there."""
    if not len(findings.missing):
        return []
    words = [
        f"{findings.num_completed} of {counted(len(findings.trials), 'planned trial')} completed. "
        "A missing trial is absent from every number on this page: it is not a zero."
    ]
    tables = [_missing_table(findings), *_divergence_table(findings)]
    return [Section("What is missing", words, tables=tables)]


def _missing_table(findings: Findings) -> Table:
    rows = [
        [
            cell_label(row, findings.factors),
            str(row["seed"]),
            _status(row),
            row["reason"] or NONE,
        ]
        for row in rows_of(findings.missing.head(_MOST_MISSING))
    ]
    left = len(findings.missing) - len(rows)
    remark = f"And {counted(left, 'more')}: missing_cells.csv has them all." if left else ""
    return Table(
        ["Missing", shared(findings).one, "Status", "Reason"], rows, frozenset({1}), remark=remark
    )


def _status(row: Mapping[str, Any]) -> str:
    """`failed: out of memory, at attempt 2`."""
    kind = said(row.get("failure", "")) if row["status"] == "failed" else ""
    tried = row.get("attempt", 1)
    at = f", at attempt {tried}" if tried > 1 else ""
    return f"{row['status'].replace('_', chr(0xA0))}{': ' * bool(kind)}{kind}{at}"


def _divergence_table(findings: Findings) -> list[Table]:
    """How often trials diverged at each level of each factor; nothing where none did."""
    if not (findings.missing["status"] == "diverged").any():
        return []
    rows = []
    for name in findings.factors:
        for i, row in enumerate(rows_of(divergence_rates(findings.trials, name))):
            known = not math.isnan(row["rate"])
            rows.append(
                [
                    name if i == 0 else "",
                    label_text(row["level"]),
                    f"{row['num_diverged']} of {row['num_ended']}",
                    f"{100 * row['rate']:.0f}" if known else NONE,
                    f"{100 * row['ci_low']:.0f} to {100 * row['ci_high']:.0f}" if known else NONE,
                ]
            )
    header = ["Factor", "Level", "Diverged", "Share, %", "95 % interval"]
    remark = (
        "Of the trials that completed or diverged; the interval of a share is Clopper and "
        "Pearson's, which takes trials as independent."
    )
    title = "How often trials diverged"
    return [Table(header, rows, frozenset({2, 3, 4}), title=title, remark=remark)]
