"""Analysis of variance of the primary response."""

from __future__ import annotations

import math

from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import NONE, number, p_value, significant
from seedbed.analyze.report.page import Section, noted_table
from seedbed.analyze.report.shared import shared
from seedbed.analyze.trials.rows import rows_of


def variance(findings: Findings) -> Section:
    """The ANOVA table of the primary response."""
    table, is_fraction = findings.primary.anova, findings.primary.unit.is_fraction
    squares = 1e4 if is_fraction else 1.0  # of points
    rows = [
        [
            str(term).replace(":", " × "),
            number(row["df"], 0),
            significant(squares * row["sum_sq"]),
            significant(squares * row["mean_sq"]),
            NONE if math.isnan(row["F"]) else number(row["F"], 2),
            p_value(row["p"]),
            NONE if math.isnan(row["partial_eta_sq"]) else number(row["partial_eta_sq"], 3),
        ]
        for term, row in zip(table.index, rows_of(table), strict=True)
    ]
    sums = "Sum of squares, points²" if is_fraction else "Sum of squares"
    header = ["Term", "df", sums, "Mean square", "F", "p", "Partial η²"]
    words = (
        f"{findings.primary.unit.label} by {', '.join(findings.factors)}{shared(findings).blocks}; "
        "type 2 sums of squares by comparison of nested models."
    )
    full = noted_table(header, rows, frozenset(range(1, 7)), list(table["note"]))
    return Section("Analysis of variance", [words], tables=[full])
