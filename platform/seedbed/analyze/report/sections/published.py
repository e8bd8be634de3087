"""The section that sets what others published beside what the study measured."""

from __future__ import annotations

import math
from dataclasses import dataclass

from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import listed, unit_of
from seedbed.analyze.report.page import Section, Table
from seedbed.analyze.report.sections.published_table import by_itself
from seedbed.analyze.stats.chosen_error import block_of, chosen_error
from seedbed.analyze.stats.means import marginal_means
from seedbed.analyze.trials.observations import AnalysisError, label_text
from seedbed.study.cell import Cell
from seedbed.study.published import Published

_TITLE = "Published values"


@dataclass(frozen=True)
class _Ours:
    """The study's own mean of one cell and its 95 % interval; NaN where there is none."""

    mean: float = math.nan
    ci_low: float = math.nan
    ci_high: float = math.nan


def published_values(findings: Findings) -> list[Section]:
    """One row per published cell; the study's own beside it where the scale is the same."""
    published = findings.design.published
    if published is None:
        return []
    source = f"Source: {published.source}."
    metric = findings.design.metric(published.response)
    own_words, own_table = by_itself(published, findings.factors, metric)
    is_rehearsal = findings.design.rehearsal is not None
    if is_rehearsal or findings.design.scale != published.scale:
        why = (
            f"The published values are of the {published.scale} scale and are therefore not "
            f"set beside these, which are of the {findings.design.scale or 'unnamed'} scale."
        )
        if is_rehearsal:
            why = "A rehearsal measured nothing that could be set beside them."
        tables = [_alone(findings, published), *own_table]
        return [Section(_TITLE, [why, *own_words], tables=tables, remarks=[source])]
    words = [_like_with_like(published)]
    changed = findings.design.overrides
    if changed:
        changes = listed([f"{path} to {value}" for path, value in changed.items()])
        words.append(f"This run set {changes} by hand: it is not quite the published experiment.")
    remarks = [
        "The interval is of our mean over the seeds; the published values come without one.",
        source,
    ]
    tables = [_beside(findings, published), *own_table]
    return [Section(_TITLE, [*words, *own_words], tables=tables, remarks=remarks)]


def _like_with_like(published: Published) -> str:
    test_set = published.test_set
    if test_set and published.response.partition("/")[0].lower() == test_set.lower():
        return f"Both were measured on {test_set}, zero-shot: like is compared with like."
    ours = "ours on the corpus' own test split"
    if test_set:
        return (
            f"The published values were measured on {test_set}, {ours}: like is compared with "
            f"like only where that split is {test_set}."
        )
    return (
        f"The published values were measured on a test set of their own, {ours}: like is compared "
        "with like only where those are the same."
    )


def _beside(findings: Findings, published: Published) -> Table:
    ours = _cell_means(findings, published.response)
    values = [value for _, value in published.cells]
    means = [cell.mean for cell in ours.values()]
    widths = [(cell.ci_high - cell.ci_low) / 2 for cell in ours.values()]
    unit = unit_of(findings.design.metric(published.response), [*values, *means], widths)
    texts = _as_published(published, is_fraction=unit.is_fraction)
    rows = []
    for (cell, value), text in zip(published.cells, texts, strict=True):
        labels = _labels(findings, cell)
        mine = ours.get(labels, _Ours())
        rows.append(
            [
                *labels,
                text,
                "missing" if math.isnan(mine.mean) else unit.value(mine.mean),
                unit.interval(mine.ci_low, mine.ci_high, signed=False),
                unit.difference(mine.mean - value),
            ]
        )
    percent = f", {unit.value_unit}" if unit.value_unit else ""
    points = f", {unit.difference_unit}" if unit.difference_unit else ""
    header = [*findings.factors, f"Published{percent}", f"Ours{percent}", "95 % interval"]
    header.append(f"Ours minus published{points}")
    first = len(findings.factors)
    return Table(header, rows, frozenset(range(first, first + 4)), title=unit.label)


def _alone(findings: Findings, published: Published) -> Table:
    unit = unit_of(
        findings.design.metric(published.response),
        [value for _, value in published.cells],
    )
    texts = _as_published(published, is_fraction=unit.is_fraction)
    rows = [
        [*_labels(findings, cell), text]
        for (cell, value), text in zip(published.cells, texts, strict=True)
    ]
    percent = f", {unit.value_unit}" if unit.value_unit else ""
    header = [*findings.factors, f"Published{percent}"]
    return Table(header, rows, frozenset({len(findings.factors)}), title=unit.label)


def _labels(findings: Findings, cell: Cell) -> tuple[str, ...]:
    return tuple(label_text(cell[name]) for name in findings.factors)


def _as_published(published: Published, *, is_fraction: bool) -> list[str]:
    """The values in the cells' order with as many decimals as they were published with."""
    values = [(100 if is_fraction else 1) * value for _, value in published.cells]
    decimals = max([1, *(len(f"{value:.10g}".partition(".")[2]) for value in values)])
    return [f"{value:.{decimals}f}" for value in values]


def _cell_means(findings: Findings, response: str) -> dict[tuple[str, ...], _Ours]:
    """By the labels of a cell: its mean over the seeds, in the blocked model of all factors."""
    factors, block = list(findings.factors), block_of(findings.design)
    if response not in findings.trials.columns:
        return {}
    try:
        table = marginal_means(
            findings.trials, response, factors, factors, block=block, order=len(factors),
            error=chosen_error(findings.design, findings.trials, response),
            seeds="random" if block else "fixed",
        )  # fmt: skip
    except AnalysisError:
        return {}
    return {
        tuple(map(label_text, row["level"])): _Ours(
            float(row["mean"]), float(row["ci_low"]), float(row["ci_high"])
        )
        for _, row in table.iterrows()
    }
