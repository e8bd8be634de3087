"""Diagnostics: what the intervals assume, and where the response varies."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import NONE, number, p_value
from seedbed.analyze.report.page import Section, Table, noted_table, sentence
from seedbed.analyze.report.shared import shared
from seedbed.analyze.trials.rows import rows_of

_ASSUMED = {
    "pooled": "It is pooled over all cells, as if they varied alike.",
    "cells": "Every cell has a variance of its own; one with a single completed trial is taken to "
    "vary as much as the widest.",
    "unequal": "They rest on one value per seed.",
}


def checks(findings: Findings) -> Section:
    """Outliers, equal variances, normal residuals, with what to do where they fail."""
    primary = findings.primary
    diagnostics = primary.diagnostics
    if diagnostics is None:
        return Section("Diagnostics", ["There is no model to check."])
    rows = [
        [
            str(name).capitalize(),
            NONE if math.isnan(row["statistic"]) else number(row["statistic"], 3),
            str(row["df"]) or NONE,
            p_value(row["p"]),
            _told(row["is_violated"]),
        ]
        for name, row in zip(diagnostics.checks.index, rows_of(diagnostics.checks), strict=True)
    ]
    header = ["Check", "Statistic", "df", "p", "Result"]
    notes = [str(note) for note in diagnostics.checks["note"]]
    table = noted_table(header, rows, frozenset({1, 2, 3}), notes)
    words = [
        f"Intervals here rest on {shared(findings).left}. "
        + (sentence(primary.error_why) if primary.error_why else _ASSUMED[primary.error])
    ]
    words += [f"Remedy {n}: {words}" for n, words in enumerate(diagnostics.remedies, 1)]
    return Section(
        "Diagnostics", words, ["residuals"], [table, *_components(findings)], is_small=True
    )


def _told(violated: Any) -> str:
    if violated is True:
        return "fails"
    return "holds" if violated is False else NONE


def _components(findings: Findings) -> list[Table]:
    table, unit = findings.components, findings.primary.unit
    if table.empty or table["variance"].isna().all():
        return []
    names = {"cell": "Between cells", "residual": "Between runs of a cell"}
    rows = [
        [
            names.get(str(component), shared(findings).between),
            unit.difference(row["sd"]).lstrip("+"),
            NONE if math.isnan(row["share"]) else f"{100 * row['share']:.0f}",
        ]
        for component, row in zip(table.index, rows_of(table), strict=True)
    ]
    size = f", {unit.difference_unit}" if unit.difference_unit else ""
    header = ["Variation", f"Standard deviation{size}", "Share of variance, %"]
    remark = f"By the method of moments: {shared(findings).common}"
    return [Table(header, rows, frozenset({1, 2}), title="Where it varies", remark=remark)]


def as_json(findings: Findings) -> dict[str, Any]:
    """The checks of the primary response as plain JSON values."""
    diagnostics = findings.primary.diagnostics
    if diagnostics is None:
        return {"fault": findings.primary.fault}
    lam = diagnostics.box_cox
    return {
        "response": findings.primary.unit.name,
        "error": findings.primary.error,
        "error_why": findings.primary.error_why,
        "checks": _rows(diagnostics.checks.reset_index()),
        "violated": list(diagnostics.violated),
        "box_cox": {name: _plain(value) for name, value in vars(lam).items()},
        "remedies": list(diagnostics.remedies),
    }


def components_as_json(findings: Findings) -> list[dict[str, Any]]:
    """The variance components of the primary response, in the square of its unit."""
    return _rows(findings.components.reset_index()) if len(findings.components) else []


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{name: _plain(value) for name, value in row.items()} for row in rows_of(table)]


def _plain(value: Any) -> Any:
    if value is pd.NA or value is None:
        return None
    if isinstance(value, float):
        return float(f"{value:.10g}") if math.isfinite(value) else None
    return value.item() if hasattr(value, "item") else value
