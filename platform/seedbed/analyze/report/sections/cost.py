"""Accuracy against cost."""

from __future__ import annotations

import math

from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import number, significant
from seedbed.analyze.report.page import Section, Table
from seedbed.analyze.trials.observations import label_text
from seedbed.analyze.trials.rows import rows_of


def cost(findings: Findings) -> Section:
    """The response over what it costs."""
    unit, price = findings.primary.unit, findings.cost
    title = f"{'Accuracy' if unit.is_fraction else unit.label} against cost"
    if price is None or findings.cells.empty:
        return Section(title, ["No completed trial reports a cost."])
    names = list(findings.factors)
    rows, tones = [], []
    for row in rows_of(findings.cells.sort_values(price.name, kind="stable")):
        front = "on the front" if row["on_front"] else ""
        if not math.isnan(row.get("probability", math.nan)):
            front = f"{100 * row['probability']:.0f} %"
        labels = [label_text(row[name]) for name in names]
        values = [unit.value(row[unit.name]), significant(row[price.name])]
        rows.append([*labels, number(row["num_trials"], 0), *values, front])
        tones.append("" if row["on_front"] else "off")
    suffix = f", {unit.value_unit}" if unit.value_unit else ""
    is_sure = "probability" in findings.cells and findings.cells["probability"].notna().any()
    last = "On the front" if is_sure else "Pareto"
    header = [*names, "Trials", f"{unit.label}{suffix}", price.label, last]
    first = len(names)
    table = Table(header, rows, frozenset(range(first, first + 3 + is_sure)), tones)
    repeats = "seeds" if findings.design.paired else "runs"
    words = (
        f"Each cell's mean over its {repeats}, the {repeats} as small dots. Cells on the "
        "Pareto front are filled and joined: no other cell is both better and cheaper. Hollow ones "
        "are beaten."
    )
    remarks = ["The front is drawn from means: cells closer than their intervals may swap."]
    if is_sure:
        remarks = [
            "The front is drawn from means. The last column says how often each cell is on it when "
            "the seeds are drawn again (bootstrap of whole seeds).",
            *per_cost(findings),
        ]
    return Section(title, [words], ["cost"], [table], remarks)


def per_cost(findings: Findings) -> list[str]:
    """The response per unit of cost of the best cell by it, in a sentence; maybe nothing."""
    unit, cost, cells = findings.primary.unit, findings.cost, findings.cells
    if (
        cost is None
        or "per_cost" not in cells
        or cells["per_cost"].isna().all()
        or unit.less_is_better
    ):
        return []
    row = rows_of(cells.loc[[cells["per_cost"].astype(float).idxmax()]])[0]
    scale = 100 if unit.is_fraction else 1
    value = significant(scale * row["per_cost"], 3)
    where = ", ".join(f"{name} {row[name]}" for name in findings.factors)
    words = f"{unit.label} per {cost.label.lower().rstrip('s')} is highest at {where}: {value}"
    if not math.isnan(row["per_cost_low"]):
        low, high = (significant(scale * row[f"per_cost_{end}"], 3) for end in ("low", "high"))
        return [f"{words} [{low} to {high}, Fieller's interval]."]
    return [f"{words} ({row['per_cost_note']})."]
