"""Effects by size: all of them, and of two-level factors which are more than noise."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import NONE
from seedbed.analyze.report.page import Section, Table
from seedbed.analyze.trials.rows import rows_of


def all_effects(findings: Findings) -> list[Section]:
    """Every effect by its size; of two-level factors also which are more than noise."""
    title, table, unit = "Effects by size", findings.two_level, findings.primary.unit
    if table is None:
        if len(findings.factors) < 2:
            return []
        words = "Main effects against the baseline and their interactions, the largest first."
        return [Section(title, [words], ["effect_pareto"])]
    words = (
        "Each effect of the two-level factors: the mean at one level less that at the other, or "
        "half the change of such a difference. Blue adds, orange takes away."
    )
    by_lenth = table.attrs["judged_by"] == "Lenth"
    rows = []
    for term, row in zip(table.index, rows_of(table), strict=True):
        interval = unit.interval(row["ci_low"], row["ci_high"])
        rows.append(
            [
                str(term).replace(":", " × "),
                unit.difference(row["effect"]),
                _alias_words(row),
                *([] if by_lenth else [interval]),
                _margin_words(row),
            ]
        )
    size = f", {unit.difference_unit}" if unit.difference_unit else ""
    header = ["Effect", f"Size{size}", "Cannot be told from"]
    header += ["Lenth"] if by_lenth else ["95 % interval", "Against 0"]
    full = Table(header, rows, frozenset({1} if by_lenth else {1, 3}))
    remarks = [_judged_words(findings, table)]
    return [Section(title, [words], ["effect_pareto", "half_normal"], [full], remarks)]


def _judged_words(findings: Findings, table: pd.DataFrame) -> str:
    """What effects of two-level factors are judged by."""
    known = int(table["effect"].notna().sum())
    if table.attrs["judged_by"] != "Lenth":
        several = "on several seeds" if findings.design.paired else "several times"
        return (
            f"Every cell was run {several}, and effects are judged by what these say: the "
            f"first margin holds for one effect, the second for all {known} together."
        )
    if table.attrs["note"]:
        return f"{table.attrs['note'][:1].upper()}{table.attrs['note'][1:]}."
    error, margin, both = (
        findings.primary.unit.difference(table.attrs[name]).lstrip("+")
        for name in ("PSE", "ME", "SME")
    )
    return (
        f"Lenth's pseudo standard error is {error}, his margin of error {margin} for one effect "
        f"and {both} for all together; they take most effects to be none."
    )


def _alias_words(row: dict[str, Any]) -> str:
    alias = [str(row["alias"]).replace(":", " × ")] if row["alias"] else []
    blocks = ["what the blocks differ by"] if math.isnan(row["effect"]) else []
    return ", ".join([*alias, *blocks]) or NONE


def _margin_words(row: dict[str, Any]) -> str:
    """Whether an effect leaves its margins: Lenth's, or those of the replicates."""
    if row["significant_sme"] is True:
        return "beyond both margins"
    if row["significant_me"] is True:
        return "beyond the first"
    return "" if row["significant_me"] is False else NONE
