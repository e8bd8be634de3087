"""Several test sets: what was had of each, and whether effects differ between them."""

from __future__ import annotations

import math

from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import NONE, number, p_value
from seedbed.analyze.report.page import Section, Table
from seedbed.analyze.trials.observations import completed
from seedbed.analyze.trials.rows import rows_of


def several_test_sets(findings: Findings) -> list[Section]:
    """Nothing of a study with one test set, unless its chance level was given."""
    if not findings.tests:
        return []
    if len(findings.tests) == 1:
        words = ["Above chance is (top-1 − chance) / (1 − chance), chance being as it was given."]
        return [Section("Above chance", words, tables=[_scores(findings)])]
    whose = "Every trial was scored on each of these test sets. Their plain mean is DataComp's"
    if any(findings.design.metric(name).chance is not None for name in findings.tests):
        whose = "Chance is as it was given. The plain mean is over the runs that have all of these"
    words = [
        f"{whose}; above "
        "chance, (top-1 − chance) / (1 − chance), a test set of two classes counts no more than "
        "one of a thousand. Both means are among the responses."
    ]
    tables = [_scores(findings), *_terms(findings)]
    return [Section("Several test sets", words, tables=tables)]


def _scores(findings: Findings) -> Table:
    done = findings.trials[completed(findings.trials)]
    rows = []
    for name, chance in findings.tests.items():
        values = done[name].astype(float)
        share = float(values.mean())
        above = (share - chance) / (1 - chance)
        words = findings.design.metric(name).label
        percent = [NONE if math.isnan(v) else number(100 * v, 2) for v in (chance, share, above)]
        rows.append([words, *percent, str(int(values.notna().sum()))])
    header = ["Test set", "Chance, %", "Mean of trials, %", "Above chance, %", "Trials"]
    return Table(header, rows, frozenset({1, 2, 3, 4}))


def _terms(findings: Findings) -> list[Table]:
    """Each term's interaction with the test sets."""
    if findings.by_test.empty:
        return []
    rows = [
        [
            str(row["term"]).replace(":", " × ") + " × test set",
            f"{row['df']:.1f} and {row['df_error']:.1f}",
            NONE if math.isnan(row["F"]) else f"{row['F']:.2f}",
            p_value(row["p"]),
        ]
        for row in rows_of(findings.by_test.reset_index())
    ]
    epsilon = float(findings.by_test["epsilon"].iloc[0])
    remark = (
        "Does a factor do the same on every test set? Top-1 above chance, test sets crossed with "
        "the factors and trials as blocks; degrees of freedom by Greenhouse and Geisser "
        f"(epsilon {epsilon:.2f}). A small p says that the effect differs between test sets, and "
        "that their mean hides by how much."
    )
    if reason := str(findings.by_test["note"].iloc[0]):
        remark += f" No F and no p where there is none: {reason}."
    header = ["Term", "Degrees of freedom", "F", "p"]
    return [Table(header, rows, frozenset({1, 2, 3}), remark=remark)]
