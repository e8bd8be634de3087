"""What to run next, at what price, and what it would tell."""

from __future__ import annotations

import itertools
import math

from seedbed.analyze.findings.judged import Judged
from seedbed.analyze.findings.outlook import Step, next_steps
from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import (
    NONE,
    Unit,
    counted,
    listed,
    number,
    significant,
)
from seedbed.analyze.report.page import Section, Table
from seedbed.analyze.report.sections.claims import unit_of_claim
from seedbed.analyze.trials.observations import label_text
from seedbed.analyze.trials.rows import cell_label, rows_of

_SHOWN_SEEDS = 5  # numbers of seeds in the table of precision


def what_next(findings: Findings) -> Section:
    """What to run, at what price, and what it would tell; then seeds against precision."""
    title, outlook = "What to run next", findings.outlook
    if outlook is None:
        return Section(title, ["The missing trials: there is nothing to plan with yet."])
    steps = next_steps(
        outlook,
        len(findings.missing),
        len(findings.trials[list(findings.factors)].drop_duplicates()),
        {
            judged.id: _narrowed(judged, unit_of_claim(findings, judged))
            for judged in findings.claims
            if len(judged.precision) > 1
        },
        _best(findings),
        is_ours=bool(findings.design.scale),
        paired=findings.design.paired,
    )
    words = []
    if not math.isnan(outlook.hours_per_seed):
        words.append(
            f"One more seed of every cell costs {significant(outlook.hours_per_seed, 3)} "
            "device-hours, by what the completed trials took."
        )
    tables = [_steps_table(steps)] if steps else []
    elsewhere = [judged for judged in findings.claims if judged.verdict is None]
    for scale, group in itertools.groupby(elsewhere, key=lambda judged: judged.scale):
        ids = [judged.id for judged in group]
        verb = "is" if len(ids) == 1 else "are"
        words.append(f"{listed(ids)} {verb} judged at --scale {' or '.join(scale)}.")
    if not steps and not elsewhere:
        words.append("Nothing is open: every claim is decided and no trial is missing.")
    precision = _precision_table(findings)
    return Section(title, words, ["seeds_needed"], [*tables, *precision])


def _narrowed(judged: Judged, unit: Unit) -> str:
    """`from 0.54 to 0.36 points`: half of a claim's interval now and with twice the seeds."""
    now, then = (unit.difference(one.half_width).lstrip("+") for one in judged.precision[:2])
    return f"from {now} to {then} {unit.difference_unit}".rstrip()


def _best(findings: Findings) -> list[str]:
    """The two best cells by name, the best first; nothing where fewer than three are compared."""
    unit, cells = findings.primary.unit, findings.cells
    if len(cells) < 3:
        return []
    ordered = cells.sort_values(unit.name, ascending=unit.less_is_better, kind="stable")
    return [cell_label(row, findings.factors) for row in rows_of(ordered)[:2]]


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


def _precision_table(findings: Findings) -> list[Table]:
    outlook, unit = findings.outlook, findings.primary.unit
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
    repeat = "seed" if findings.design.paired else "run"
    header = ["Effect", "", *(counted(int(n), repeat) for n in shown)]
    size = f", {unit.difference_unit}" if unit.difference_unit else ""
    remark = (
        "Half of a 95 % interval, and the true difference that is found with a power of 80 %; of "
        "each effect's least certain comparison, if the noise stays as it is and no trial is lost."
    )
    columns = frozenset(range(2, len(header)))
    return [
        Table(
            header,
            rows,
            columns,
            title=f"{repeat.capitalize()}s and precision{size}",
            remark=remark,
        )
    ]
