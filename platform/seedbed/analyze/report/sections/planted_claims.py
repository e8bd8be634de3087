"""Claims of a rehearsal: whether they are true of the surface, beside their verdicts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from seedbed.analyze.findings.judged import Judged
from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import listed
from seedbed.analyze.report.page import Table
from seedbed.analyze.report.sections.claim_words import contrast_words, expectation
from seedbed.analyze.stats.margins import lies
from seedbed.plan.surface import Surface
from seedbed.study.claim import Claim
from seedbed.study.contrast import Contrast


def truths(findings: Findings) -> dict[str, bool]:
    """By its id, whether a claim is true of the surface of a rehearsal; of trained studies none.

    A claim is true when all of its planted differences lie where they were claimed to.
    """
    surface = findings.design.rehearsal
    if surface is None:
        return {}
    told = {}
    for judged, claim in _stated(findings):
        effects = _effects_of(findings, surface, judged.response)
        if effects is not None:
            told[judged.id] = all(
                lies(truth, truth, one.direction, one.margin)
                for one in claim.contrasts
                for truth in [_truth(findings, effects, one)]
            )
    return told


def truth_words(findings: Findings) -> list[str]:
    """`On the surface that was planted, C2 is true and C3 is false.`"""
    told = [f"{name} is {'true' if it_is else 'false'}" for name, it_is in truths(findings).items()]
    return [f"On the surface that was planted, {listed(told)}."] if told else []


def _stated(findings: Findings) -> list[tuple[Judged, Claim]]:
    claims = (stated.claim for stated in findings.design.claims)
    return list(zip(findings.claims, claims, strict=True))


def planted_claims(findings: Findings, surface: Surface) -> list[Table]:
    """Each claim: whether it is true of the surface, and what the trials made of it."""
    rows, told = [], truths(findings)
    units = {r.unit.name: r.unit for r in (findings.primary, *findings.secondary)}
    for judged, claim in _stated(findings):
        effects = _effects_of(findings, surface, judged.response)
        if effects is None:
            continue
        unit = units[judged.response]
        verdict = judged.verdict or f"none: about {' or '.join(judged.scale)}"
        for i, one in enumerate(claim.contrasts):
            first = [judged.id, "true" if told[judged.id] else "false", verdict]
            name, truth, said = first if i == 0 else ("", "", "")
            planted = unit.difference(_truth(findings, effects, one))
            claimed = expectation(one, unit)
            rows.append([name, contrast_words(one), planted, claimed, truth, said])
    if not rows:
        return []
    header = ["Claim", "Comparison", "Planted", "Claimed", "On the surface", "Verdict"]
    remark = (
        "A claim is true of the surface when all of its planted differences lie where they were "
        "claimed to. Supported and false, or refuted and true, is a wrong verdict; alpha bounds "
        "how often that is."
    )
    return [Table(header, rows, frozenset({2}), title="Claims", remark=remark)]


def _effects_of(findings: Findings, surface: Surface, response: str) -> Surface | None:
    """The surface of a response; None of a cost, which is drawn of hours."""
    if response == findings.primary.unit.name:
        return surface
    if findings.design.metric(response).is_cost:
        return None
    return replace(surface, effects=dict(surface.others.get(response, {})))


def _truth(findings: Findings, surface: Surface, one: Contrast) -> float:
    return planted_effect(findings, surface, one.of, one.level, one.over, one.at, one.less_at)


def planted_effect(
    findings: Findings,
    surface: Surface,
    of: str,
    level: Any,
    baseline: Any,
    at: Mapping[str, Any],
    less_at: Mapping[str, Any],
) -> float:
    """The planted difference of two levels of a factor `at` levels of others, less `less_at`."""

    def effect(where: Mapping[str, Any]) -> float:
        upper = mean_at(findings, surface, {**where, of: level})
        return upper - mean_at(findings, surface, {**where, of: baseline})

    return effect(at) - (effect(less_at) if less_at else 0.0)


def mean_at(findings: Findings, surface: Surface, fixed: Mapping[str, Any]) -> float:
    """The surface at the levels `fixed`, the other factors' levels counting equally."""
    others = {name: levels for name, levels in findings.factors.items() if name not in fixed}
    cells = [
        surface.value({**fixed, **dict(zip(others, labels, strict=True))})
        for labels in itertools.product(*others.values())
    ]
    return sum(cells) / len(cells)
