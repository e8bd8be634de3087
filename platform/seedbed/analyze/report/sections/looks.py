"""Looks: when a study was looked at by its own rule, what it saw, and why it went on or stopped."""

from __future__ import annotations

from seedbed.analyze.findings.looks import LookTaken
from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import counted
from seedbed.analyze.report.page import Section, Table, sentence
from seedbed.analyze.report.sections.claim_words import contrast_words
from seedbed.analyze.report.sections.claims import unit_of_claim
from seedbed.study.looks import ANYTIME_VALID, Looks


def looks(findings: Findings) -> list[Section]:
    """Every look with its seeds, estimates, intervals and decision; nothing without looks."""
    rule = findings.design.sequential
    if rule is None:
        return []
    words = f"{sentence(f'seeds are added {rule.words}')} {held_at(rule)}"
    rows = [row for look in findings.looks for row in _rows(findings, look)]
    header = ["Look", "Seeds", "Trials", "Comparison", "Difference", "Interval", "Reads", "Then"]
    tables = [Table(header, rows, frozenset({0, 1, 2, 4}))] if rows else []
    remarks = [f"The rule was stated {findings.design.looks_stated}."]
    if not findings.design.looks_stated:
        remarks = []
    remarks.append(
        "Each look is shown by its trials as they stand now: one that failed then, and was trained "
        "again since, is in it. The analysis of variance, effect sizes, costs and checks are those "
        "of a single look."
    )
    return [Section("Looks", [words], tables=tables, remarks=remarks)]


def held_at(rule: Looks) -> str:
    """What intervals of such a study hold for."""
    if rule.method in ANYTIME_VALID:
        return (
            "Intervals and p values of means, effects and claims are anytime-valid: they hold at "
            "all looks together, whenever one stops."
        )
    return (
        f"Intervals and p values of means, effects and claims are group-sequential ({rule.method}):"
        f" they hold at the {len(rule.counts)} stated looks together."
    )


def _rows(findings: Findings, look: LookTaken) -> list[list[str]]:
    lines: list[list[str]] = []
    if look.widest is not None:
        unit, one = findings.primary.unit, look.widest
        interval = unit.interval(one.conf_low, one.conf_high)
        what = f"{one.term} {one.words} (widest)"
        lines.append([what, unit.difference(one.estimate), interval, ""])
    for judged in look.claims:
        unit = unit_of_claim(findings, judged)
        lines += [
            [
                f"{judged.id}: {contrast_words(one.contrast)}",
                unit.difference(one.difference),
                unit.interval(one.ci_low, one.ci_high),
                one.verdict or one.seen,
            ]
            for one in judged.contrasts
        ]
    then = f"{'stops' if look.stops else 'goes on'}: {look.why}"
    start = [str(look.number), str(look.num_seeds), str(look.num_completed)]
    lines = lines or [["", "", "", ""]]
    return [
        [*(start if i == 0 else ["", "", ""]), *line, then if i == 0 else ""]
        for i, line in enumerate(lines)
    ]


def looks_caveats(findings: Findings) -> list[str]:
    """What an answer by looks is to be read with, and where it went on or stopped."""
    rule = findings.design.sequential
    if rule is None:
        return []
    words = held_at(rule)
    if findings.looks:
        last = findings.looks[-1]
        then = "stopped" if last.stops else "goes on"
        words += (
            f" The study {then} at look {last.number}, with {counted(last.num_seeds, 'seed')} of "
            f"{rule.most} at most: {last.why}."
        )
    if findings.design.looks_stated.startswith("after"):
        words += (
            f" But its looks were stated {findings.design.looks_stated}: these guarantees are not "
            "those of a rule that was stated before."
        )
    return [words]
