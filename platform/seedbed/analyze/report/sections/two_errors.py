"""Two kinds of error, kept apart: of training seeds, and of the test set."""

from __future__ import annotations

import math

from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import Unit, number
from seedbed.analyze.report.page import Section, Table
from seedbed.analyze.report.shared import shared
from seedbed.analyze.trials.observations import completed, label_text
from seedbed.analyze.trials.rows import rows_of


def two_errors(findings: Findings) -> Section:
    """Seed error and test-set error, apart."""
    title, unit = "Two kinds of error, kept apart", findings.primary.unit
    residual = findings.primary.anova.loc["Residual"].to_dict()
    words = []
    if residual["note"]:
        of = "Training seeds" if findings.design.paired else "Training"
        words.append(f"{of}: the error cannot be given ({residual['note']}).")
    else:
        spread = unit.difference(math.sqrt(float(residual["mean_sq"]))).lstrip("+")
        suffix = f" {unit.difference_unit}" if unit.difference_unit else ""
        words.append(
            f"{shared(findings).ran} {spread}{suffix} (residual standard deviation, "
            f"{residual['df']:g} degrees of freedom). All intervals on this page are of this kind."
        )
    return Section(title, [*words, _test_set(findings, unit)], tables=_both_errors(findings))


def _both_errors(findings: Findings) -> list[Table]:
    """Each difference with both intervals, where the trials tell which pictures they had right."""
    table, unit = findings.test_errors, findings.primary.unit
    if table.empty or table["test_se"].isna().all():
        return []
    rows = [
        [
            f"{row['factor']} {label_text(row['level'])} minus "
            f"{label_text(findings.baselines[row['factor']])}",
            unit.difference(row["difference"]),
            unit.interval(row["seed_ci_low"], row["seed_ci_high"]),
            unit.interval(row["test_ci_low"], row["test_ci_high"]),
        ]
        for row in rows_of(table)
    ]
    size = f", {unit.difference_unit}" if unit.difference_unit else ""
    header = ["Comparison", f"Difference{size}", "Other seeds", "Other pictures"]
    remark = (
        "95 % intervals: over training seeds with these test pictures, and over pictures (paired, "
        f"{number(float(table['num_examples'].iloc[0]), 0)} of them) with these training runs."
    )
    return [Table(header, rows, frozenset({1, 2, 3}), remark=remark)]


def _test_set(findings: Findings, unit: Unit) -> str:
    done = findings.trials[completed(findings.trials)]
    counter = unit.metric.out_of
    if not unit.is_fraction or counter not in done.columns or done[counter].isna().all():
        return "Test set: its size is not recorded, so its error cannot be given."
    num_images = int(done[counter].min())
    share = float(done[unit.name].mean())
    error = math.sqrt(share * (1 - share) / num_images)
    return (
        f"Test set: {number(num_images, 0)} images fix one trial's {unit.spoken()} to a standard "
        f"error of {100 * error:.2f} points (binomial, at {unit.value(share)} %). This is another "
        "thing: it says how far the score may lie from that on all such images. Every trial sees "
        "the same images, so much of it cancels in differences, and more seeds do not reduce it."
    )
