"""The report in a terminal: question, answer, effects, cost, what is missing."""

from __future__ import annotations

import textwrap

from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import p_value, plain, significant
from seedbed.analyze.report.answer import answer
from seedbed.analyze.report.caveats import caveats
from seedbed.analyze.report.shared import shared
from seedbed.analyze.stats.comparison import of_term
from seedbed.analyze.trials.observations import label_text
from seedbed.analyze.trials.rows import cell_label, rows_of

_WIDTH = 96
_BETWEEN = "; "  # the parts of a comparison's note
_LABEL_WIDTH = 50  # characters of a cell's name, beside its figures
_MOST_CELLS, _MOST_MISSING = 60, 40  # lines: nobody reads 1,000


def summary(findings: Findings) -> str:
    """Plain text, every line under 100 columns."""
    lines = [f"{findings.design.study}: {findings.design.question}", ""]
    lines += [*answer(findings), *caveats(findings)]
    if not findings.primary.fault:
        for name in findings.factors:
            lines += ["", *_effects(findings, name)]
        lines += _cost(findings)
    if len(findings.missing):
        lines += ["", f"Missing: {len(findings.missing)} of {len(findings.trials)} trials"]
        for row in rows_of(findings.missing.head(_MOST_MISSING)):
            reason = f" ({row['reason']})" if row["reason"] else ""
            status = row["status"].replace("_", " ")
            cell = cell_label(row, findings.factors)
            lines.append(
                f"  {cell}, {shared(findings).one.lower()} {row['seed']}: {status}{reason}"
            )
        if (left := len(findings.missing) - _MOST_MISSING) > 0:
            lines.append(f"  and {left:,} more: missing_cells.csv has them all")
    return "\n".join(line for text in lines for line in _wrapped(plain(text)))


def _wrapped(text: str) -> list[str]:
    indent = len(text) - len(text.lstrip())
    return textwrap.wrap(text, _WIDTH, subsequent_indent=" " * (indent + 2 * (indent > 0))) or [""]


def _effects(findings: Findings, factor: str) -> list[str]:
    unit, contrasts = findings.primary.unit, of_term(findings.primary.contrasts, factor)
    base = label_text(findings.baselines[factor])
    size = f" in {unit.difference_unit}" if unit.difference_unit else ""
    judged = any(one.has_interval for one in contrasts)
    adjusted = ", p by Holm" if judged and len(contrasts) > 1 else ""
    interval = " [95 % interval]" if judged else ""
    lines = [f"{unit.label}, {factor} against {base}{size}{interval}{adjusted}"]
    width = max(len(one.label) for one in contrasts)
    notes = [one.note.split(_BETWEEN) for one in contrasts]
    common = [part for part in notes[0] if part and all(part in other for other in notes)]
    for one, own in zip(contrasts, notes, strict=True):
        line = f"  {one.label:<{width}}  {unit.difference(one.estimate):>7}"
        if one.has_interval:
            interval = unit.interval(one.conf_low, one.conf_high)
            line += f"  [{interval}]  p {p_value(one.p_adjusted)}"
        own = [part for part in own if len(contrasts) == 1 or part not in common]
        lines.append(f"{line}  {_BETWEEN.join(own)}".rstrip())
    if common and len(contrasts) > 1:
        lines.append(f"  all: {_BETWEEN.join(common)}")
    return lines


def _cost(findings: Findings) -> list[str]:
    unit, price = findings.primary.unit, findings.cost
    if price is None or findings.cells.empty:
        return []
    by_price = findings.cells.sort_values(price.name, kind="stable")
    some = by_price if len(by_price) <= _MOST_CELLS else by_price[by_price["on_front"].astype(bool)]
    rows = rows_of(some.head(_MOST_CELLS))
    labels = [cell_label(row, findings.factors) for row in rows]
    lines = ["", f"{unit.label} against {price.label.lower()} (* on the Pareto front)"]
    if max(map(len, labels)) > _LABEL_WIDTH:  # the factors' names once, not in every line
        labels = [", ".join(label_text(row[name]) for name in findings.factors) for row in rows]
        lines.append(f"  by {', '.join(findings.factors)}")
    width = min(max(map(len, labels)), _LABEL_WIDTH)
    for label, row in zip(labels, rows, strict=True):
        star = "*" if row["on_front"] else " "
        value = f"{unit.value(row[unit.name])} {unit.value_unit}".strip()
        lines.append(f"{star} {label:<{width}}  {value:>8}  {significant(row[price.name]):>9}")
    if (left := len(by_price) - len(rows)) > 0:
        lines.append(f"  and {left:,} cells more: pareto.csv has them all")
    return lines
