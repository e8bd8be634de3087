"""The report's first sections: effects, means, interactions, accuracy against cost."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pandas as pd

from seedbed.analyze.figures.drawing import rows_of
from seedbed.analyze.findings.study import Findings, ResponseFindings
from seedbed.analyze.numbers import NONE, number, p_value, significant
from seedbed.analyze.report.page import Section, Table, noted_table
from seedbed.analyze.report.sections.checks import per_cost
from seedbed.analyze.stats.chosen_error import WORDS
from seedbed.analyze.trials.observations import label_text


def effects(found: Findings) -> Section:
    """Every level against its baseline."""
    unit, names = found.primary.unit, list(found.factors)
    words = f"{unit.label} at each level minus the baseline level, within seeds"
    words += ", in points. " if unit.is_fraction else ". "
    if found.num_seeds > 1:
        words += "Small dots are the raw differences of single seeds"
        words += ", at every level of the other factors. " if len(names) > 1 else ". "
        words += f"The bar is the 95 % interval of their mean, {WORDS[found.primary.error]}."
    if found.primary.error != "unequal" and found.num_seeds > 2:
        assumed = "It takes cells to vary alike"
        if found.primary.error == "cells":
            assumed = "It takes trials of a seed to have a shift in common and no more"
        words += (
            f" {assumed}; the interval by seed does not, and pays in width: it rests on one value "
            "per seed."
        )
    tables = [contrast_table(found.primary, name) for name in names]
    drawn = [f"contrasts_{name}" for name in names]
    return Section("Effects against the baseline", [words], drawn, tables)


def contrast_table(found: ResponseFindings, factor: str) -> Table:
    unit, table = found.unit, found.contrasts
    picked = rows_of(table[table["factor"] == factor])
    both = any(not math.isnan(row.get("by_seed_low", math.nan)) for row in picked)
    rows = [
        [
            label_text(row["level"]),
            unit.difference(row["difference"]),
            unit.interval(row["ci_low"], row["ci_high"]),
            *([unit.interval(row["by_seed_low"], row["by_seed_high"])] if both else []),
            NONE if math.isnan(row["df"]) else f"{row['df']:.3g}",
            p_value(row["p_adjusted"]),
        ]
        for row in picked
    ]
    suffix = f", {unit.difference_unit}" if unit.difference_unit else ""
    difference = f"Difference from {label_text(picked[0]['baseline'])}{suffix}"
    header = [factor, difference, "95 % interval", *(["by seed"] if both else []), "df", "p (Holm)"]
    numeric = frozenset(range(1, len(header)))
    return noted_table(header, rows, numeric, [row["note"] for row in picked])


def means(found: Findings) -> Section:
    """Marginal means, the other factors' levels counting equally."""
    unit, names = found.primary.unit, list(found.factors)
    words = "Means of the seeds; the baseline comes first."
    if len(names) > 1:
        words = (
            "Means over all levels of the other factors, each counting equally; the baseline "
            "comes first."
        )
    if found.num_seeds > 1:
        words += (
            " Intervals are over other training seeds, which shift all levels together: "
            "differences are surer than means."
        )
    suffix = f", {unit.value_unit}" if unit.value_unit else ""
    tables = []
    for name in names:
        picked = rows_of(found.primary.means[found.primary.means["factor"] == name])
        rows = [
            [
                label_text(row["level"]),
                unit.value(row["mean"]),
                unit.interval(row["ci_low"], row["ci_high"], signed=False),
            ]
            for row in picked
        ]
        header = [name, f"{unit.label}{suffix}", "95 % interval"]
        notes = [row["note"] for row in picked]
        tables.append(noted_table(header, rows, frozenset({1, 2}), notes, ["base"]))
    drawn = [f"means_{names[0]}"] if len(names) == 1 else []
    return Section("Means by level", [words], drawn, tables)


def interactions(found: Findings) -> list[Section]:
    """How effects depend on other factors: the simple effects, and their differences."""
    return [_interaction(found, a, b) for a, b in itertools.combinations(found.factors, 2)]


def _interaction(found: Findings, a: str, b: str) -> Section:
    unit, table = found.primary.unit, found.primary.interactions
    picked = rows_of(table[(table["a"] == a) & (table["b"] == b)])
    simple = [row for row in picked if row["kind"] == "simple"]
    crossed = [row for row in picked if row["kind"] == "interaction"]
    suffix = f", {unit.difference_unit}" if unit.difference_unit else ""
    base_a, base_b = label_text(found.baselines[a]), label_text(found.baselines[b])

    def line(row: dict[str, Any]) -> list[str]:
        return [
            label_text(row["a_level"]),
            label_text(row["b_level"]),
            unit.difference(row["difference"]),
            unit.interval(row["ci_low"], row["ci_high"]),
        ]

    simple.sort(key=lambda row: found.factors[b].index(row["b_level"]))
    tables = [
        Table(
            [a, f"at {b}", f"Difference from {a} {base_a}{suffix}", "95 % interval"],
            [line(row) for row in simple],
            frozenset({2, 3}),
            title=f"Simple effects of {a}",
        ),
        Table(
            [a, b, f"Change against {b} {base_b}{suffix}", "95 % interval", "p"],
            [[*line(row), p_value(row["p"])] for row in crossed],
            frozenset({2, 3, 4}),
            title=f"How much the effect of {a} changes with {b}",
        ),
    ]
    words = [f"The effect of {a} at each level of {b}, and the difference of those differences."]
    notes = sorted({row["note"] for row in picked if row["note"]})
    return Section(f"Interaction of {a} and {b}", words, [f"means_{a}_by_{b}"], tables, notes)


def all_effects(found: Findings) -> list[Section]:
    """Every effect by its size; of two-level factors also which are more than noise."""
    title, table, unit = "Effects by size", found.two_level, found.primary.unit
    if table is None:
        if len(found.factors) < 2:
            return []
        words = "Main effects against the baseline and their interactions, the largest first."
        return [Section(title, [words], ["effect_pareto"])]
    words = (
        "Each effect of the two-level factors: the mean at one level less that at the other, or "
        "half the change of such a difference. Blue adds, orange takes away."
    )
    by_lenth = table.attrs["judged_by"] == "Lenth"
    rows = []
    for term, row in zip(table.index, rows_of(table), strict=True):
        interval = unit.interval(row["ci_low"], row["ci_high"])
        rows.append(
            [
                str(term).replace(":", " × "),
                unit.difference(row["effect"]),
                str(row["alias"]).replace(":", " × ") or NONE,
                *([] if by_lenth else [interval]),
                _margin_words(row),
            ]
        )
    size = f", {unit.difference_unit}" if unit.difference_unit else ""
    header = ["Effect", f"Size{size}", "Cannot be told from"]
    header += ["Lenth"] if by_lenth else ["95 % interval", "Against 0"]
    full = Table(header, rows, frozenset({1} if by_lenth else {1, 3}))
    remarks = [_judged_words(found, table)]
    return [Section(title, [words], ["effect_pareto", "half_normal"], [full], remarks)]


def _judged_words(found: Findings, table: pd.DataFrame) -> str:
    """What effects of two-level factors are judged by."""
    if table.attrs["judged_by"] != "Lenth":
        return (
            "Every cell was run on several seeds, and effects are judged by what these say: the "
            f"first margin holds for one effect, the second for all {len(table)} together."
        )
    if table.attrs["note"]:
        return f"{table.attrs['note'][:1].upper()}{table.attrs['note'][1:]}."
    error, margin, both = (
        found.primary.unit.difference(table.attrs[name]).lstrip("+")
        for name in ("PSE", "ME", "SME")
    )
    return (
        f"Lenth's pseudo standard error is {error}, his margin of error {margin} for one effect "
        f"and {both} for all together; they take most effects to be none."
    )


def _margin_words(row: dict[str, Any]) -> str:
    """Whether an effect leaves its margins: Lenth's, or those of the replicates."""
    if row["significant_sme"] is True:
        return "beyond both margins"
    if row["significant_me"] is True:
        return "beyond the first"
    return "" if row["significant_me"] is False else NONE


def cost(found: Findings) -> Section:
    """The response over what it costs."""
    unit, price = found.primary.unit, found.cost
    title = f"{'Accuracy' if unit.is_fraction else unit.label} against cost"
    if price is None or found.cells.empty:
        return Section(title, ["No completed trial reports a cost."])
    names = list(found.factors)
    rows, tones = [], []
    for row in rows_of(found.cells.sort_values(price.name, kind="stable")):
        front = "on the front" if row["on_front"] else ""
        if not math.isnan(row.get("probability", math.nan)):
            front = f"{100 * row['probability']:.0f} %"
        labels = [label_text(row[name]) for name in names]
        values = [unit.value(row[unit.name]), significant(row[price.name])]
        rows.append([*labels, number(row["num_trials"], 0), *values, front])
        tones.append("" if row["on_front"] else "off")
    suffix = f", {unit.value_unit}" if unit.value_unit else ""
    is_sure = "probability" in found.cells and found.cells["probability"].notna().any()
    last = "On the front" if is_sure else "Pareto"
    header = [*names, "Trials", f"{unit.label}{suffix}", price.label, last]
    first = len(names)
    table = Table(header, rows, frozenset(range(first, first + 3 + is_sure)), tones)
    words = (
        "Each cell's mean over its seeds, the seeds as small dots. Cells on the Pareto front are "
        "filled and joined: no other cell is both better and cheaper. Hollow ones are beaten."
    )
    remarks = ["The front is drawn from means: cells closer than their intervals may swap."]
    if is_sure:
        remarks = [
            "The front is drawn from means. The last column says how often each cell is on it when "
            "the seeds are drawn again (bootstrap of whole seeds).",
            *per_cost(found),
        ]
    return Section(title, [words], ["cost"], [table], remarks)
