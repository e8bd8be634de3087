"""What an axis counts in, and how its title says so."""

from __future__ import annotations

from seedbed.analyze.findings.study import Findings


def axis_scale(findings: Findings) -> float:
    return 100.0 if findings.primary.unit.is_fraction else 1.0


def in_unit(findings: Findings, words: str) -> str:
    unit = findings.primary.unit.difference_unit
    return f"{words} ({unit})" if unit else words
