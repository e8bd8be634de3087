"""A rehearsal's section: what was planted, and whether the study found it."""

from __future__ import annotations

import math

from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import NONE, listed
from seedbed.analyze.report.page import Section, Table
from seedbed.analyze.report.sections.planted_claims import mean_at, planted_claims, planted_effect
from seedbed.analyze.stats.comparison import Comparison
from seedbed.analyze.trials.observations import label_text
from seedbed.analyze.trials.rows import rows_of
from seedbed.plan.surface import Surface


def planted(findings: Findings) -> list[Section]:
    """Every planted difference beside its interval, and every claim's verdict beside the truth;
    nothing for a study that was trained."""
    surface, unit = findings.design.rehearsal, findings.primary.unit
    if surface is None or findings.primary.fault:
        return []
    rows = _differences(findings, surface)
    known = [row[-1] for row in rows if row[-1] != NONE]
    hits = sum(told == "yes" for told in known)
    sentence = (
        "Nothing was trained: every trial measured a response surface whose effects are known. "
    )
    if known:
        sentence += (
            f"{hits} of {len(known)} intervals hold what was planted; of intervals that keep their "
            "promise one in twenty does not."
        )
    size = f", {unit.difference_unit}" if unit.difference_unit else ""
    header = ["Comparison", f"Planted{size}", f"Found{size}", "95 % interval", "Holds it"]
    table = Table(header, rows, frozenset({1, 2, 3}))
    tables = [table, _means(findings, surface), *planted_claims(findings, surface)]
    title, remarks = "What was planted, and what was found", _beside(findings, surface)
    return [Section(title, [sentence], tables=tables, remarks=remarks)]


def _differences(findings: Findings, surface: Surface) -> list[list[str]]:
    """Each difference from a baseline, and each interaction, with its truth."""
    rows = []
    for one in (*findings.primary.contrasts, *findings.primary.interactions):
        words = f"{one.factor} {one.words}"
        for name, level in one.at.items():
            words = f"{one.factor} {one.label} at {name} {label_text(level)}, interaction"
        truth = planted_effect(
            findings, surface, one.factor, one.level, one.baseline, one.at, one.less_at
        )
        rows.append(_line(words, truth, one, findings))
    return rows


def _means(findings: Findings, surface: Surface) -> Table:
    """Every level's planted mean beside the one found; seeds shift by 0 on average."""
    unit, rows = findings.primary.unit, []
    for row in rows_of(findings.primary.means):
        truth = mean_at(findings, surface, {row["factor"]: row["level"]})
        rows.append(
            [
                f"{row['factor']} {label_text(row['level'])}",
                unit.value(truth),
                unit.value(row["mean"]),
                unit.interval(row["ci_low"], row["ci_high"], signed=False),
                _holds(truth, row["ci_low"], row["ci_high"]),
            ]
        )
    known = [row[-1] for row in rows if row[-1] != NONE]
    hits = sum(told == "yes" for told in known)
    remark = f"{hits} of {len(known)} intervals of means hold what was planted." if known else ""
    size = f", {unit.value_unit}" if unit.value_unit else ""
    header = ["Mean at", f"Planted{size}", f"Found{size}", "95 % interval", "Holds it"]
    return Table(header, rows, frozenset({1, 2, 3}), title="Means by level", remark=remark)


def _holds(truth: float, low: float, high: float) -> str:
    if math.isnan(low):
        return NONE
    return "yes" if low <= truth <= high else "no"


def _line(words: str, truth: float, one: Comparison, findings: Findings) -> list[str]:
    unit = findings.primary.unit
    return [
        words,
        unit.difference(truth),
        unit.difference(one.estimate),
        unit.interval(one.conf_low, one.conf_high),
        _holds(truth, one.conf_low, one.conf_high),
    ]


def _beside(findings: Findings, surface: Surface) -> list[str]:
    """How the other responses were drawn; nothing where there are none."""
    drawn = [r.unit for r in findings.secondary if not r.unit.metric.is_cost and not r.fault]
    if not drawn:
        return []
    bare = [unit.spoken() for unit in drawn if not surface.others.get(unit.name)]
    words = "Other responses are drawn on their own, with shifts and noise of their own."
    if bare:
        words += (
            f" Nothing was planted in {listed(bare)}: what is found of it is found by chance "
            "('others' in surface.json plants effects)."
        )
    return [words]
