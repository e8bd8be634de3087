"""Means by level."""

from __future__ import annotations

from seedbed.analyze.findings.study import Findings
from seedbed.analyze.report.page import Section, noted_table
from seedbed.analyze.report.shared import shared
from seedbed.analyze.trials.observations import label_text
from seedbed.analyze.trials.rows import rows_of


def means(findings: Findings) -> Section:
    """Marginal means, the other factors' levels counting equally."""
    unit, names = findings.primary.unit, list(findings.factors)
    repeats = "seeds" if findings.design.paired else "runs"
    words = f"Means of the {repeats}; the baseline comes first."
    if len(names) > 1:
        words = (
            "Means over all levels of the other factors, each counting equally; the baseline "
            "comes first."
        )
    if findings.num_seeds > 1:
        words += f" {shared(findings).means}"
    suffix = f", {unit.value_unit}" if unit.value_unit else ""
    tables = []
    for name in names:
        picked = rows_of(findings.primary.means[findings.primary.means["factor"] == name])
        rows = [
            [
                label_text(row["level"]),
                unit.value(row["mean"]),
                unit.interval(row["ci_low"], row["ci_high"], signed=False),
            ]
            for row in picked
        ]
        header = [name, f"{unit.label}{suffix}", "95 % interval"]
        notes = [row["note"] for row in picked]
        tables.append(noted_table(header, rows, frozenset({1, 2}), notes, ["base"]))
    drawn = [f"means_{names[0]}"] if len(names) == 1 else []
    return Section("Means by level", [words], drawn, tables)
