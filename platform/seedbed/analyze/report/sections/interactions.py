"""Interactions: how the effect of a factor changes with another."""

from __future__ import annotations

import itertools
from typing import Any

from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import p_value
from seedbed.analyze.report.page import Section, Table
from seedbed.analyze.trials.observations import label_text
from seedbed.analyze.trials.rows import rows_of


def interactions(findings: Findings) -> list[Section]:
    """How effects depend on other factors: the simple effects, and their differences."""
    return [_interaction(findings, a, b) for a, b in itertools.combinations(findings.factors, 2)]


def _interaction(findings: Findings, a: str, b: str) -> Section:
    unit, table = findings.primary.unit, findings.primary.interactions
    picked = rows_of(table[(table["a"] == a) & (table["b"] == b)])
    simple = [row for row in picked if row["kind"] == "simple"]
    crossed = [row for row in picked if row["kind"] == "interaction"]
    suffix = f", {unit.difference_unit}" if unit.difference_unit else ""
    base_a, base_b = label_text(findings.baselines[a]), label_text(findings.baselines[b])

    def line(row: dict[str, Any]) -> list[str]:
        return [
            label_text(row["a_level"]),
            label_text(row["b_level"]),
            unit.difference(row["difference"]),
            unit.interval(row["ci_low"], row["ci_high"]),
        ]

    simple.sort(key=lambda row: findings.factors[b].index(row["b_level"]))
    tables = [
        Table(
            [a, f"at {b}", f"Difference from {a} {base_a}{suffix}", "95 % interval"],
            [line(row) for row in simple],
            frozenset({2, 3}),
            title=f"Simple effects of {a}",
        ),
        Table(
            [a, b, f"Change against {b} {base_b}{suffix}", "95 % interval", "p"],
            [[*line(row), p_value(row["p"])] for row in crossed],
            frozenset({2, 3, 4}),
            title=f"How much the effect of {a} changes with {b}",
        ),
    ]
    words = [f"The effect of {a} at each level of {b}, and the difference of those differences."]
    notes = sorted({row["note"] for row in picked if row["note"]})
    return Section(f"Interaction of {a} and {b}", words, [f"means_{a}_by_{b}"], tables, notes)
