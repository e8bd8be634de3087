"""The report's sections that conclude: the claims' verdicts, and what to run next."""

from __future__ import annotations

import itertools
import math

from seedbed.analyze.figures.drawing import cell_label, rows_of
from seedbed.analyze.findings.claim_words import expectation
from seedbed.analyze.findings.judged import VERDICTS, Judged
from seedbed.analyze.findings.outlook import Step, next_steps
from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import (
    NONE,
    Unit,
    counted,
    listed,
    number,
    p_value,
    significant,
    unit_of,
)
from seedbed.analyze.report.page import Section, Table
from seedbed.analyze.trials.observations import label_text

_HOLDS = {"supported": "yes", "refuted": "no", "inconclusive": "open"}
_SHOWN_SEEDS = 5  # numbers of seeds in the table of precision


def claims(found: Findings) -> list[Section]:
    """Each claim with its verdict and the numbers behind it; nothing where none was stated."""
    if not found.claims:
        return []
    rows, tones = [], []
    for judged in found.claims:
        # The verdict stands in its own column; what was seen elsewhere says where.
        why = judged.sentence.partition(": ")[2] if judged.verdict else judged.sentence
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
    words = [f"{told} {rules}" for told in _tally(found)]
    if elsewhere := _elsewhere(found):
        words.append(f"{elsewhere} A claim is judged at the scale that it is about.")
    remarks = [
        f"{judged.id} was stated {judged.stated}."
        for judged in found.claims
        if judged.stated.startswith("after")
    ]
    if all(judged.stated.startswith("before") for judged in found.claims):
        remarks.append("All were stated before the first trial.")
    sources = sorted({judged.source for judged in found.claims if judged.source})
    if sources:
        remarks.append(f"Source of claims: {listed(sources)}.")
    lines = [_contrast_table(found)]
    return [Section("Claims", words, tables=[table, *lines], remarks=remarks)]


def _tally(found: Findings) -> list[str]:
    """`Of 3 claims 2 are supported and 1 is refuted.`: of those that are judged, if any is."""
    verdicts = [judged.verdict for judged in found.claims if judged.verdict]
    parts = []
    for verdict in VERDICTS:
        count = verdicts.count(verdict)
        if count:
            parts.append(f"{count} {'is' if count == 1 else 'are'} {verdict}")
    return [f"Of {counted(len(verdicts), 'claim')} {listed(parts)}."] if parts else []


def _elsewhere(found: Findings) -> str:
    """Which claims are about another scale than this study's trials; empty where none is."""
    by_scale: dict[tuple[str, ...], list[str]] = {}
    seen_at = ""
    for judged in found.claims:
        if judged.verdict is None:
            by_scale.setdefault(judged.scale, []).append(judged.id)
            seen_at = judged.seen_at
    parts = [
        f"{listed(ids)} {'is' if len(ids) == 1 else 'are'} about the scale {' or '.join(scale)}"
        for scale, ids in by_scale.items()
    ]
    return f"{'; '.join(parts)}: no verdict is given at {seen_at}." if parts else ""


def tally(found: Findings) -> list[str]:
    """For the answer: the verdicts counted, and what was seen of claims about another scale."""
    told = _tally(found)
    if elsewhere := _elsewhere(found):
        seen = [
            f"{judged.id} {judged.sentence[:1].lower()}{judged.sentence[1:]}"
            for judged in found.claims
            if judged.verdict is None
        ]
        told.append(" ".join([elsewhere, *seen]))
    return told


def _contrast_table(found: Findings) -> Table:
    rows = []
    for judged in found.claims:
        unit = _unit(found, judged)
        for i, one in enumerate(judged.contrasts):
            rows.append(
                [
                    judged.id if i == 0 else "",
                    one.words,
                    expectation(one.direction, one.margin, unit),
                    unit.difference(one.difference),
                    unit.interval(one.ci_low, one.ci_high),
                    NONE if judged.verdict is None else p_value(one.p),
                    one.seen or _HOLDS.get(one.verdict or "", NONE),
                ]
            )
    header = ["Claim", "Comparison", "Claimed", "Measured", "Interval", "p", "Holds"]
    remark = "Differences of fractions are in points; p is one-sided, against the stated margin."
    return Table(header, rows, frozenset({3, 4, 5}), title="Comparisons", remark=remark)


def _unit(found: Findings, judged: Judged) -> Unit:
    for response in (found.primary, *found.secondary):
        if response.unit.name == judged.response:
            return response.unit
    return unit_of(judged.response, [])


def what_next(found: Findings) -> Section:
    """What to run, at what price, and what it would tell; then seeds against precision."""
    title, outlook = "What to run next", found.outlook
    if outlook is None:
        return Section(title, ["The missing trials: there is nothing to plan with yet."])
    steps = next_steps(
        outlook,
        len(found.missing),
        len(found.trials[list(found.factors)].drop_duplicates()),
        {
            judged.id: _narrowed(judged, _unit(found, judged))
            for judged in found.claims
            if len(judged.precision) > 1
        },
        _best(found),
    )
    words = []
    if not math.isnan(outlook.hours_per_seed):
        words.append(
            f"One more seed of every cell costs {significant(outlook.hours_per_seed, 3)} "
            "device-hours, by what the completed trials took."
        )
    tables = [_steps_table(steps)] if steps else []
    elsewhere = [judged for judged in found.claims if judged.verdict is None]
    for scale, group in itertools.groupby(elsewhere, key=lambda judged: judged.scale):
        ids = [judged.id for judged in group]
        verb = "is" if len(ids) == 1 else "are"
        words.append(f"{listed(ids)} {verb} judged at --scale {' or '.join(scale)}.")
    if not steps and not elsewhere:
        words.append("Nothing is open: every claim is decided and no trial is missing.")
    precision = _precision_table(found)
    return Section(title, words, ["seeds_needed"], [*tables, *precision])


def _narrowed(judged: Judged, unit: Unit) -> str:
    """`from 0.54 to 0.36 points`: half of a claim's interval now and with twice the seeds."""
    now, then = (unit.difference(one.half_width).lstrip("+") for one in judged.precision[:2])
    return f"from {now} to {then} {unit.difference_unit}".rstrip()


def _best(found: Findings) -> list[str]:
    """The two best cells by name, the best first; nothing where fewer than three are compared."""
    unit, cells = found.primary.unit, found.cells
    if len(cells) < 3:
        return []
    ordered = cells.sort_values(unit.name, ascending=unit.less_is_better, kind="stable")
    return [cell_label(row, found.factors) for row in rows_of(ordered)[:2]]


def _steps_table(steps: list[Step]) -> Table:
    rows = [
        [
            step.what,
            number(step.num_trials, 0),
            NONE if math.isnan(step.hours) else significant(step.hours, 3),
            step.why[:1].upper() + step.why[1:] + ".",
        ]
        for step in steps
    ]
    return Table(["Run", "Trials", "Device-hours", "What it would tell"], rows, frozenset({1, 2}))


def _precision_table(found: Findings) -> list[Table]:
    outlook, unit = found.outlook, found.primary.unit
    assert outlook is not None
    table = outlook.table
    if table["se"].isna().all():
        return []
    seeds = sorted(table["num_seeds"].unique())
    shown = sorted(
        {seeds[round(i * (len(seeds) - 1) / (_SHOWN_SEEDS - 1))] for i in range(_SHOWN_SEEDS)}
    )
    rows = []
    for effect, own in table.groupby("effect", sort=False):
        by_seeds = {row["num_seeds"]: row for row in rows_of(own)}
        for name, column in (("half-width", "half_width"), ("detectable", "detectable_difference")):
            values = [
                unit.difference(by_seeds[n][column]).lstrip("+") if n in by_seeds else NONE
                for n in shown
            ]
            first = label_text(str(effect).replace(":", " × ")) if column == "half_width" else ""
            rows.append([first, name, *values])
    header = ["Effect", "", *(counted(int(n), "seed") for n in shown)]
    size = f", {unit.difference_unit}" if unit.difference_unit else ""
    remark = (
        "Half of a 95 % interval, and the true difference that is found with a power of 80 %; of "
        "each effect's least certain comparison, if the noise stays as it is and no trial is lost."
    )
    columns = frozenset(range(2, len(header)))
    return [Table(header, rows, columns, title=f"Seeds and precision{size}", remark=remark)]
