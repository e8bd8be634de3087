"""Claims: their verdicts, and the comparisons behind them."""

from __future__ import annotations

from typing import Any

from seedbed.analyze.findings.judged import VERDICTS, Judged
from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import (
    NONE,
    Unit,
    counted,
    listed,
    p_value,
    unit_of,
)
from seedbed.analyze.report.page import Section, Table
from seedbed.analyze.report.sections.claim_words import claim_sentence, contrast_words, expectation

_HOLDS = {"supported": "yes", "refuted": "no", "inconclusive": "open"}


def claims(findings: Findings) -> list[Section]:
    """Each claim with its verdict and the numbers behind it; nothing where none was stated."""
    if not findings.claims:
        return []
    rows, tones = [], []
    for judged in findings.claims:
        # The verdict stands in its own column; what was seen elsewhere says where.
        whole = claim_sentence(judged, unit_of_claim(findings, judged))
        why = whole.partition(": ")[2] if judged.verdict else whole
        verdict = judged.verdict or f"none: about {' or '.join(judged.scale)}"
        rows.append([judged.id, verdict, f"{judged.statement} {why[:1].upper()}{why[1:]}"])
        tones.append("" if judged.verdict in VERDICTS[:2] else "off")
    table = Table(
        ["Claim", "Verdict", "What is claimed, and what the trials say"], rows, tones=tones
    )
    rules = (
        "A claim holds when all of its comparisons do; each is judged by its own interval at the "
        "level it was stated with, and claims are not adjusted for one another."
    )
    words = [f"{told} {rules}" for told in _tally(findings)]
    if elsewhere := _elsewhere(findings):
        words.append(f"{elsewhere} A claim is judged at the scale that it is about.")
    remarks = [
        f"{judged.id} was stated {judged.stated}."
        for judged in findings.claims
        if judged.stated.startswith("after")
    ]
    if all(judged.stated.startswith("before") for judged in findings.claims):
        remarks.append("All were stated before the first trial.")
    sources = sorted({judged.source for judged in findings.claims if judged.source})
    if sources:
        remarks.append(f"Source of claims: {listed(sources)}.")
    lines = [_contrast_table(findings)]
    return [Section("Claims", words, tables=[table, *lines], remarks=remarks)]


def _tally(findings: Findings) -> list[str]:
    """`Of 3 claims 2 are supported and 1 is refuted.`: of those that are judged, if any is."""
    verdicts = [judged.verdict for judged in findings.claims if judged.verdict]
    parts = []
    for verdict in VERDICTS:
        count = verdicts.count(verdict)
        if count:
            parts.append(f"{count} {'is' if count == 1 else 'are'} {verdict}")
    return [f"Of {counted(len(verdicts), 'claim')} {listed(parts)}."] if parts else []


def _elsewhere(findings: Findings) -> str:
    """Which claims are about another scale than this study's trials; empty where none is."""
    by_scale: dict[tuple[str, ...], list[str]] = {}
    seen_at = ""
    for judged in findings.claims:
        if judged.verdict is None:
            by_scale.setdefault(judged.scale, []).append(judged.id)
            seen_at = judged.seen_at
    parts = [
        f"{listed(ids)} {'is' if len(ids) == 1 else 'are'} about the scale {' or '.join(scale)}"
        for scale, ids in by_scale.items()
    ]
    return f"{'; '.join(parts)}: no verdict is given at {seen_at}." if parts else ""


def tally(findings: Findings) -> list[str]:
    """For the answer: the verdicts counted, and what was seen of claims about another scale."""
    told = _tally(findings)
    if elsewhere := _elsewhere(findings):
        seen = [
            f"{judged.id} {words[:1].lower()}{words[1:]}"
            for judged in findings.claims
            if judged.verdict is None
            for words in [claim_sentence(judged, unit_of_claim(findings, judged))]
        ]
        told.append(" ".join([elsewhere, *seen]))
    return told


def _contrast_table(findings: Findings) -> Table:
    rows = []
    for judged in findings.claims:
        unit = unit_of_claim(findings, judged)
        for i, one in enumerate(judged.contrasts):
            rows.append(
                [
                    judged.id if i == 0 else "",
                    contrast_words(one.contrast),
                    expectation(one.contrast, unit),
                    unit.difference(one.difference),
                    unit.interval(one.ci_low, one.ci_high),
                    NONE if judged.verdict is None else p_value(one.p),
                    one.seen or _HOLDS.get(one.verdict or "", NONE),
                ]
            )
    header = ["Claim", "Comparison", "Claimed", "Measured", "Interval", "p", "Holds"]
    remark = "Differences of fractions are in points; p is one-sided, against the stated margin."
    return Table(header, rows, frozenset({3, 4, 5}), title="Comparisons", remark=remark)


def unit_of_claim(findings: Findings, judged: Judged) -> Unit:
    for response in (findings.primary, *findings.secondary):
        if response.unit.name == judged.response:
            return response.unit
    return unit_of(findings.design.metric(judged.response), [])


def claims_as_json(findings: Findings) -> list[dict[str, Any]]:
    """Each judged claim as plain JSON values, with the words that the page has for it."""
    values = []
    for judged in findings.claims:
        sentence = claim_sentence(judged, unit_of_claim(findings, judged))
        lines = [
            one.to_json() | {"words": contrast_words(one.contrast)} for one in judged.contrasts
        ]
        values.append(judged.to_json() | {"contrasts": lines, "sentence": sentence})
    return values
