"""Tuning: for each cell its tuned values, the curve over the budget, and optima at an edge."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from seedbed.analyze.figures.learning_curves import Curve, Panel, curve_figure
from seedbed.analyze.figures.marks import Figure
from seedbed.analyze.figures.points import thinned
from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import NONE, Unit, counted, listed, significant, unit_of
from seedbed.analyze.report.page import Section, Table
from seedbed.analyze.report.sections.learning_curves import MOST_CELLS, styles_of
from seedbed.analyze.trials.observations import label_text
from seedbed.plan.design import Design
from seedbed.plan.tuned import Tuned, TunedCell
from seedbed.study.nuisance import Search

FIGURE = "tuning"


def tuning(findings: Findings) -> list[Section]:
    """How each cell was tuned; nothing where nothing was."""
    tuned = findings.design.tuned
    if tuned is None or not tuned.cells:
        return []
    unit = _unit(findings.design, tuned)
    seeds = listed([str(seed) for seed in tuned.nuisance.seeds])
    words = (
        f"Every cell was tuned by itself, {listed([s.words for s in tuned.nuisance.space])}, with "
        f"the same budget: {tuned.nuisance.words}. "
        f"{unit.label} chose among them, with the seed{'s' * (len(tuned.nuisance.seeds) > 1)} "
        f"{seeds}; what is compared was trained anew with other seeds, and no trial of the search "
        "is in any comparison."
    )
    remarks = [
        "Candidates were judged on the pictures that the study is scored on: other seeds take "
        "away the luck of a seed, and not what suits these pictures. That favours no cell, since "
        "all have the same budget, and all numbers a little.",
        *_screened(tuned),
        *_at_edges(tuned),
    ]
    figures = [FIGURE] if tuning_figure(findings) else []
    return [Section("Tuning", [words], figures, [_table(findings, tuned, unit)], remarks)]


def _screened(tuned: Tuned) -> list[str]:
    screening = tuned.nuisance.tuning.screening
    if screening is None:
        return []
    return [
        "Candidates that were cut were stopped early, by Ray Tune's ASHA, among those of their own "
        "cell: a value that learns slowly at first may be among them. Nothing that is compared was "
        "stopped early."
    ]


def tuning_figure(findings: Findings) -> dict[str, Figure]:
    """The best response so far over the budget, a line for each cell; maybe nothing."""
    tuned = findings.design.tuned
    if tuned is None:
        return {}
    shown = thinned([one for one in tuned.cells if one.chosen is not None], MOST_CELLS)
    if not shown:
        return {}
    unit = _unit(findings.design, tuned)
    keys, legend = styles_of(findings, [one.cell for one in shown])
    curves = [
        Curve(_steps(one.best_so_far(unit.less_is_better)), key, "mean")
        for one, key in zip(shown, keys, strict=True)
    ]
    title = f"Best {unit.spoken()} so far{f' ({unit.value_unit})' if unit.value_unit else ''}"
    panel = Panel(title, curves, 100.0 if unit.is_fraction else 1.0)
    return {FIGURE: curve_figure([panel], legend, "Candidates tried")}


def candidate_table(design: Design) -> pd.DataFrame:
    """One row for each candidate of each cell, in the order in which they were tried."""
    assert design.tuned is not None
    screened = design.tuned.nuisance.tuning.screening is not None
    rows: list[dict[str, Any]] = []
    for one in design.tuned.cells:
        best = one.best_so_far(_unit(design, design.tuned).less_is_better)
        for number, candidate in enumerate(one.candidates):
            rows.append(
                {name: one.cell[name] for name in design.factors}
                | {"candidate": number + 1, "round": candidate.round}
                | dict(candidate.values)
                | {
                    "status": candidate.status,
                    "response": candidate.response,
                    **({"reached": candidate.reached} if screened else {}),
                    "best_so_far": best[number],
                    "chosen": number == one.chosen,
                    "keys": " ".join(candidate.keys),
                }
            )
    return pd.DataFrame(rows)


def _unit(design: Design, tuned: Tuned) -> Unit:
    known = [c.final for one in tuned.cells for c in one.candidates if c.final is not None]
    return unit_of(design.metric(tuned.response), known)


def _steps(best: list[float | None]) -> list[tuple[float, float]]:
    """The best so far as a staircase: it changes with a candidate, and not before."""
    points: list[tuple[float, float]] = []
    for number, value in enumerate(best, 1):
        if value is not None:
            points += [(float(number), points[-1][1])] if points else []
            points.append((float(number), value))
    return points


def _table(findings: Findings, tuned: Tuned, unit: Unit) -> Table:
    rows = []
    for one in tuned.cells:
        done = sum(candidate.status == "completed" for candidate in one.candidates)
        cut = sum(candidate.status == "cut" for candidate in one.candidates)
        best = None if one.chosen is None else one.candidates[one.chosen].response
        rows.append(
            [
                *(label_text(one.cell[name]) for name in findings.factors),
                *(_value(one, search) for search in tuned.nuisance.space),
                unit.value(math.nan if best is None else best),
                f"{done} of {len(one.candidates)}{f', {cut} cut' if cut else ''}",
                "; ".join(_edges(one, tuned)) or "inside",
            ]
        )
    suffix = f", {unit.value_unit}" if unit.value_unit else ""
    values = [f"{path}, tuned" for path in tuned.nuisance.paths]
    response = f"{unit.label} in the search{suffix}"
    header = [*findings.factors, *values, response, "Completed", "In the space"]
    first = len(findings.factors)
    return Table(header, rows, frozenset(range(first, first + len(values) + 1)))


def _value(one: TunedCell, search: Search) -> str:
    # A learning rate is read in powers of ten.
    value = one.values.get(search.at)
    if value is None:
        return NONE
    return f"{value:.3g}" if abs(value) < 1e-2 and value else significant(value, 3)


def _edges(one: TunedCell, tuned: Tuned) -> list[str]:
    """Where the tuned values of a cell lie at an edge of the space, in words."""
    known = [(s, one.values[s.at]) for s in tuned.nuisance.space if s.at in one.values]
    return [f"{s.at} at the {edge} edge" for s, value in known if (edge := s.edge(value))]


def _at_edges(tuned: Tuned) -> list[str]:
    words = []
    for search in tuned.nuisance.space:
        placed = [search.edge(one.values[search.at]) for one in tuned.cells if one.values]
        if any(placed):
            several = counted(sum(map(bool, placed)), "cell")
            words.append(
                f"The tuned {search.at} of {several} lies in the outermost tenth of the space: the "
                "best value may lie beyond it. A wider space would tell, and is another search."
            )
    if any(one.chosen is None for one in tuned.cells):
        words.append("A cell without a tuned value has the recipe's own: no candidate completed.")
    return words
