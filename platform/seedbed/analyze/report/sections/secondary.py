"""Secondary responses."""

from __future__ import annotations

import math

from seedbed.analyze.findings.study import Findings, ResponseFindings
from seedbed.analyze.numbers import NONE, p_value
from seedbed.analyze.report.page import Section, Table
from seedbed.analyze.stats.comparison import of_term
from seedbed.analyze.trials.observations import label_text
from seedbed.analyze.trials.rows import rows_of


def secondary(findings: Findings) -> Section:
    """The other responses, in one table per factor."""
    known = [response for response in findings.secondary if not response.fault]
    faults = [f"{r.unit.label}: {r.fault}" for r in findings.secondary if r.fault]
    if not findings.secondary:
        return Section("Secondary responses", ["The study declares one response only."])
    tables = []
    for name in findings.factors:
        rows: list[list[str]] = []
        for response in known:
            rows += _secondary_rows(response, name)
        base = label_text(findings.baselines[name])
        header = ["Response", name, "Mean", f"Difference from {base}", "95 % interval", "p (BH)"]
        tables.append(Table(header, rows, frozenset({2, 3, 4, 5})))
    words = (
        "Not what the study was built to decide. Fractions are in percent, their differences "
        "in points; p values are adjusted over all secondary comparisons together "
        "(Benjamini–Hochberg)."
    )
    return Section("Secondary responses", [words], tables=tables, remarks=faults, is_small=True)


def _secondary_rows(response: ResponseFindings, factor: str) -> list[list[str]]:
    unit = response.unit
    contrasts = {one.level: one for one in of_term(response.contrasts, factor)}
    rows = []
    for i, row in enumerate(rows_of(response.means[response.means["factor"] == factor])):
        known = not math.isnan(row["mean"])
        mean = f"{unit.value(row['mean'])} {unit.value_unit}".strip() if known else NONE
        cells = [unit.label if i == 0 else "", label_text(row["level"]), mean]
        contrast = contrasts.get(row["level"])
        if contrast is None:
            cells += ["baseline", "", ""]
        else:
            interval = unit.interval(contrast.conf_low, contrast.conf_high)
            cells += [unit.difference(contrast.estimate), interval, p_value(contrast.p_adjusted)]
        rows.append(cells)
    return rows
