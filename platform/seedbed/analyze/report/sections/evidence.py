"""The report's later sections: analysis of variance, secondary responses, errors, trials."""

from __future__ import annotations

import math

from seedbed.analyze.figures.drawing import cell_label, rows_of
from seedbed.analyze.findings.study import Findings, ResponseFindings
from seedbed.analyze.numbers import NONE, Unit, counted, number, p_value, significant
from seedbed.analyze.report.page import Section, Table, noted_table
from seedbed.analyze.stats.missing import divergence_rates
from seedbed.analyze.trials.observations import completed, label_text

_MOST_ROWS = 1_000  # of trials that a page shows
_MOST_MISSING = 200


def variance(found: Findings) -> Section:
    """The ANOVA table of the primary response."""
    table, is_fraction = found.primary.anova, found.primary.unit.is_fraction
    squares = 1e4 if is_fraction else 1.0  # of points
    rows = [
        [
            str(term).replace(":", " × "),
            number(row["df"], 0),
            significant(squares * row["sum_sq"]),
            significant(squares * row["mean_sq"]),
            NONE if math.isnan(row["F"]) else number(row["F"], 2),
            p_value(row["p"]),
            NONE if math.isnan(row["partial_eta_sq"]) else number(row["partial_eta_sq"], 3),
        ]
        for term, row in zip(table.index, rows_of(table), strict=True)
    ]
    sums = "Sum of squares, points²" if is_fraction else "Sum of squares"
    header = ["Term", "df", sums, "Mean square", "F", "p", "Partial η²"]
    words = (
        f"{found.primary.unit.label} by {', '.join(found.factors)} with seeds as blocks; "
        "type 2 sums of squares by comparison of nested models."
    )
    full = noted_table(header, rows, frozenset(range(1, 7)), list(table["note"]))
    return Section("Analysis of variance", [words], tables=[full])


def secondary(found: Findings) -> Section:
    """The other responses, in one table per factor."""
    known = [response for response in found.secondary if not response.fault]
    faults = [f"{r.unit.label}: {r.fault}" for r in found.secondary if r.fault]
    if not found.secondary:
        return Section("Secondary responses", ["The study declares one response only."])
    tables = []
    for name in found.factors:
        rows: list[list[str]] = []
        for response in known:
            rows += _secondary_rows(response, name)
        base = label_text(found.baselines[name])
        header = ["Response", name, "Mean", f"Difference from {base}", "95 % interval", "p (BH)"]
        tables.append(Table(header, rows, frozenset({2, 3, 4, 5})))
    words = (
        "Not what the study was built to decide. Fractions are in percent, their differences "
        "in points; p values are adjusted over all secondary comparisons together "
        "(Benjamini–Hochberg)."
    )
    return Section("Secondary responses", [words], tables=tables, remarks=faults, is_small=True)


def _secondary_rows(response: ResponseFindings, factor: str) -> list[list[str]]:
    unit, found = response.unit, response.contrasts
    gaps = {row["level"]: row for row in rows_of(found[found["factor"] == factor])}
    rows = []
    for i, row in enumerate(rows_of(response.means[response.means["factor"] == factor])):
        mean = f"{unit.value(row['mean'])} {unit.value_unit}".strip()
        cells = [unit.label if i == 0 else "", label_text(row["level"]), mean]
        gap = gaps.get(row["level"])
        if gap is None:
            cells += ["baseline", "", ""]
        else:
            interval = unit.interval(gap["ci_low"], gap["ci_high"])
            cells += [unit.difference(gap["difference"]), interval, p_value(gap["p_adjusted"])]
        rows.append(cells)
    return rows


def two_errors(found: Findings) -> Section:
    """Seed error and test-set error, apart."""
    title, unit = "Two kinds of error, kept apart", found.primary.unit
    residual = found.primary.anova.loc["Residual"].to_dict()
    words = []
    if residual["note"]:
        words.append(f"Training seeds: their error cannot be given ({residual['note']}).")
    else:
        spread = unit.difference(math.sqrt(float(residual["mean_sq"]))).lstrip("+")
        suffix = f" {unit.difference_unit}" if unit.difference_unit else ""
        words.append(
            f"Training seeds: repeated training of one cell on another seed varies by {spread}"
            f"{suffix} (residual standard deviation, {residual['df']:g} degrees of freedom). All "
            "intervals on this page are of this kind."
        )
    return Section(title, [*words, _test_set(found, unit)], tables=_both_errors(found))


def _both_errors(found: Findings) -> list[Table]:
    """Each difference with both intervals, where the trials tell which pictures they had right."""
    table, unit = found.test_errors, found.primary.unit
    if table.empty or table["test_se"].isna().all():
        return []
    rows = [
        [
            f"{row['factor']} {label_text(row['level'])} minus "
            f"{label_text(found.baselines[row['factor']])}",
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


def _test_set(found: Findings, unit: Unit) -> str:
    done = found.trials[completed(found.trials)]
    counter = unit.name.rsplit("/", 1)[0] + "/num_images"
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


def missing(found: Findings) -> list[Section]:
    """What did not complete, by name, and how often trials diverged; nothing if all is there."""
    if not len(found.missing):
        return []
    words = [
        f"{found.num_completed} of {counted(len(found.trials), 'planned trial')} completed. A "
        "missing trial is absent from every number on this page: it is not a zero."
    ]
    tables = [_missing_table(found), *_divergence_table(found)]
    return [Section("What is missing", words, tables=tables)]


def trial_rows(found: Findings) -> Section:
    """One row per planned trial; of a study too large to read, where its table is."""
    if len(found.trials) > _MOST_ROWS:
        words = [
            f"{found.num_completed} of {counted(len(found.trials), 'planned trial')} completed; "
            "trials.csv, beside this page, has a row for each."
        ]
        return Section("Trials", words, is_small=True)
    shown = [found.primary, *found.secondary]
    units = [response.unit for response in shown]
    rows, tones = [], []
    for row in rows_of(found.trials):
        labels = [label_text(row[name]) for name in found.factors]
        values = [unit.value(_number(row[unit.name])) for unit in units]
        rows.append([*labels, str(row["seed"]), row["status"].replace("_", "\u00a0"), *values])
        tones.append("" if row["status"] == "completed" else "missing")
    first = len(found.factors)
    suffixes = [f"{unit.label}{', %' if unit.is_fraction else ''}" for unit in units]
    header = [*found.factors, "Seed", "Status", *suffixes]
    columns = frozenset({first, *range(first + 2, len(header))})
    words = [f"{found.num_completed} of {counted(len(found.trials), 'planned trial')} completed."]
    return Section("Trials", words, tables=[Table(header, rows, columns, tones)], is_small=True)


def _number(value: object) -> float:
    """NaN for what is no number: a response that was refused is still shown by its other rows."""
    return float(value) if isinstance(value, int | float) else math.nan


def _missing_table(found: Findings) -> Table:
    rows = [
        [
            cell_label(row, found.factors),
            str(row["seed"]),
            row["status"].replace("_", "\u00a0"),
            row["reason"] or NONE,
        ]
        for row in rows_of(found.missing.head(_MOST_MISSING))
    ]
    left = len(found.missing) - len(rows)
    remark = f"And {counted(left, 'more')}: missing_cells.csv has them all." if left else ""
    return Table(["Missing", "Seed", "Status", "Reason"], rows, frozenset({1}), remark=remark)


def _divergence_table(found: Findings) -> list[Table]:
    """How often trials diverged at each level of each factor; nothing where none did."""
    if not (found.missing["status"] == "diverged").any():
        return []
    rows = []
    for name in found.factors:
        for i, row in enumerate(rows_of(divergence_rates(found.trials, name))):
            known = not math.isnan(row["rate"])
            rows.append(
                [
                    name if i == 0 else "",
                    label_text(row["level"]),
                    f"{row['num_diverged']} of {row['num_ended']}",
                    f"{100 * row['rate']:.0f}" if known else NONE,
                    f"{100 * row['ci_low']:.0f} to {100 * row['ci_high']:.0f}" if known else NONE,
                ]
            )
    header = ["Factor", "Level", "Diverged", "Share, %", "95 % interval"]
    remark = (
        "Of the trials that completed or diverged; the interval of a share is Clopper and "
        "Pearson's, which takes trials as independent."
    )
    title = "How often trials diverged"
    return [Table(header, rows, frozenset({2, 3, 4}), title=title, remark=remark)]
