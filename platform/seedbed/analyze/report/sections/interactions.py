"""Interactions: how the effect of a factor changes with another."""

from __future__ import annotations

import itertools

from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import p_value
from seedbed.analyze.report.page import Section, Table, sentence
from seedbed.analyze.stats.comparison import Comparison, of_term
from seedbed.analyze.trials.observations import label_text


def interactions(findings: Findings) -> list[Section]:
    """How effects depend on other factors: the simple effects, and their differences."""
    return [_interaction(findings, a, b) for a, b in itertools.combinations(findings.factors, 2)]


def _interaction(findings: Findings, a: str, b: str) -> Section:
    unit = findings.primary.unit
    simple_effects = of_term(findings.primary.simple_effects, a, b)
    interactions = of_term(findings.primary.interactions, a, b)
    suffix = f", {unit.difference_unit}" if unit.difference_unit else ""
    base_a, base_b = label_text(findings.baselines[a]), label_text(findings.baselines[b])

    def line(one: Comparison) -> list[str]:
        return [
            one.label,
            label_text(one.at[b]),
            unit.difference(one.estimate),
            unit.interval(one.conf_low, one.conf_high),
        ]

    simple_effects.sort(key=lambda one: findings.factors[b].index(one.at[b]))
    tables = [
        Table(
            [a, f"at {b}", f"Difference from {a} {base_a}{suffix}", "95 % interval"],
            [line(one) for one in simple_effects],
            frozenset({2, 3}),
            title=f"Simple effects of {a}",
        ),
        Table(
            [a, b, f"Change against {b} {base_b}{suffix}", "95 % interval", "p"],
            [[*line(one), p_value(one.p_value)] for one in interactions],
            frozenset({2, 3, 4}),
            title=f"How much the effect of {a} changes with {b}",
        ),
    ]
    words = [f"The effect of {a} at each level of {b}, and the difference of those differences."]
    notes = sorted({sentence(one.note) for one in (*interactions, *simple_effects) if one.note})
    return Section(f"Interaction of {a} and {b}", words, [f"means_{a}_by_{b}"], tables, notes)
