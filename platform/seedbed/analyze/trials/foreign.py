"""Tables of runs that this package did not make, as a design and its records."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from seedbed.analyze.trials.observations import AnalysisError, label_text, require_column
from seedbed.analyze.trials.outcomes import outcomes
from seedbed.errors import nearest
from seedbed.metric import Kind, Metric
from seedbed.plan.design import Design, PlannedFactor, PlannedTrial, StatedClaim, StatedError
from seedbed.study.cell import Cell, canonical
from seedbed.study.claim import Claim
from seedbed.study.record import Status, TrialRecord

SAMPLES = "budget.samples"  # the field of our own recipes that says how much a run sees
_COUNT = re.compile(r"(\d+(?:\.\d+)?(?:e\+?\d+)?)\s*([kmbgt]?)", re.IGNORECASE)
_SIZES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
HIGHEST_ORDER = "highest-order"
NO_VALUE = "the table has no value of it"
MOST_NAMED = 5  # cells that the table lacks, named in one sentence
NAMES = ("run_name", "Name")  # the columns that name a run: MLflow's, and W&B's exports'


@dataclass(frozen=True)
class Stated:
    """What a person says of a table: which columns mean what.

    `responses` are columns of numbers, the primary first; `factors` columns of labels, and
    `baselines` the label to compare with, by factor (else the first). `block` is a column whose
    rows share something, a seed or a machine: comparisons are made within its values. Without one,
    rows of one cell are independent repetitions. `kind` and `higher_is_better` are of all
    responses; percentages are of kind "share" with `per_cent`. `budget` is the factor that says how
    much a run saw, as a number or as `400M` or `34B`. `error` is "" or "highest-order",
    which takes the interaction of all factors for the error where cells are not repeated.
    """

    responses: Sequence[str]
    factors: Sequence[str]
    block: str = ""
    baselines: Mapping[str, str] = field(default_factory=dict)
    kind: Kind = "number"
    per_cent: bool = False
    budget: str = ""
    higher_is_better: bool = True
    error: str = ""
    claims: Sequence[Claim] = ()
    name: str = "table"


def table_of(rows: Sequence[Mapping[str, Any]], texts: str = "params.") -> pd.DataFrame:
    """A table of rows; a column `texts...` of text becomes numbers where all of it are."""
    table = pd.DataFrame(list(rows))
    for column in [name for name in table.columns if name.startswith(texts)]:
        numbers = pd.to_numeric(table[column], errors="coerce")
        if numbers.notna().sum() == table[column].notna().sum():
            table[column] = numbers
    return table


def runs_of_cells(table: pd.DataFrame, factors: Sequence[str]) -> pd.DataFrame:
    """The rows that have one of the factors: a sweep's own run, above its trials, has none."""
    known = [name for name in factors if name in table.columns]
    return table[table[known].notna().any(axis=1)] if known else table


def study_of(table: pd.DataFrame, stated: Stated) -> tuple[Design, list[TrialRecord]]:
    """The design and the records that `table` stands for, a row a run.

    A row without a value of the primary response is a trial that failed: planned, and missing. So
    is one whose tracker says that it did not end (see `outcomes`). Rows without a label are
    refused. Raises AnalysisError with the nearest name for what is not there.
    """
    if stated.budget and stated.budget not in stated.factors:
        raise AnalysisError(
            f"The budget is '{stated.budget}', which is no factor.",
            why="Effects are told at each of its levels.",
            mend=nearest(stated.budget, stated.factors),
        )
    for column in (*stated.responses, *stated.factors, *([stated.block] if stated.block else [])):
        require_column(table, column)
    if not len(table):
        raise AnalysisError("The table has no row.", mend="Give one with a row for each run.")
    rows = table.reset_index(drop=True)
    labels = {name: _labels(rows, name) for name in stated.factors}
    cells = [
        Cell(zip(labels, values, strict=True)) for values in zip(*labels.values(), strict=True)
    ]
    seeds = _seeds(rows, cells, stated)
    factors = {name: _factor(name, labels[name], stated) for name in stated.factors}
    metrics = tuple(
        Metric(name, kind=stated.kind, higher_is_better=stated.higher_is_better)
        for name in stated.responses
    )
    keys = [f"row-{number + 1:06d}" for number in range(len(rows))]
    highest = stated.error == HIGHEST_ORDER
    design = Design(
        study=stated.name,
        question=f"What do {', '.join(stated.factors)} change?",
        factors=factors,
        responses=tuple(stated.responses),
        metrics=metrics,
        claims=tuple(StatedClaim(claim=claim) for claim in stated.claims),
        error=StatedError(kind="residual") if highest else StatedError(),
        cells=_cells(cells, factors),
        order=max(1, len(factors) - 1) if highest else min(2, len(factors)),
        paired=bool(stated.block),
        seeds=tuple(sorted(set(seeds))),
        trials=tuple(
            PlannedTrial(key=key, cell=cell, seed=seed, recipe=_budget(cell, stated))
            for key, cell, seed in zip(keys, cells, seeds, strict=True)
        ),
    )
    values = {name: _numbers(rows, name, stated) for name in stated.responses}
    ended = outcomes(rows)
    records = [
        _record(stated, key, cell, seed, {name: own[n] for name, own in values.items()}, ended[n])
        for n, (key, cell, seed) in enumerate(zip(keys, cells, seeds, strict=True))
    ]
    return design, records


def _record(
    stated: Stated,
    key: str,
    cell: Cell,
    seed: int,
    values: Mapping[str, float],
    outcome: tuple[Status, str],
) -> TrialRecord:
    primary = stated.responses[0]
    status, reason = outcome
    if status == "completed" and math.isnan(values[primary]):
        status, reason = "failed", f"{primary}: {NO_VALUE}"
    lost = status != "completed"
    return TrialRecord(
        key=key,
        study=stated.name,
        scale="",
        cell=cell,
        seed=seed,
        cohort="",
        status=status,
        reason=reason,
        metrics={} if lost else {name: v for name, v in values.items() if not math.isnan(v)},
    )


def _row(rows: pd.DataFrame, where: pd.Series[bool]) -> str:
    """The first row of `where` in words, with its run's name where the table has one."""
    first = int(where.to_numpy().argmax())
    named = next((f" ('{rows[name].iloc[first]}')" for name in NAMES if name in rows), "")
    return f"Row {first + 1}{named}"


def _labels(rows: pd.DataFrame, name: str) -> list[Any]:
    column = rows[name]
    if column.isna().any():
        first = _row(rows, column.isna())
        raise AnalysisError(
            f"{first} has no value of the factor '{name}'.",
            why="A run without a label is in no cell.",
            mend="Fill it, leave the row out, or leave the factor out.",
        )
    return [canonical(value) for value in column]


def _factor(name: str, labels: Sequence[Any], stated: Stated) -> PlannedFactor:
    """Numbers in their order, other labels as they first appear."""
    levels = list(dict.fromkeys(labels))
    if name == stated.budget:
        levels.sort(key=lambda label: count_of(label, name))
    elif all(isinstance(label, int | float) for label in levels):
        levels.sort()
    if len(levels) < 2:
        raise AnalysisError(
            f"The factor '{name}' is {label_text(levels[0])} in every row.",
            why="There is nothing to compare.",
            mend="Leave it out of --factors.",
        )
    said = stated.baselines.get(name)
    texts = {label_text(level): level for level in levels}
    if said is not None and said not in texts:
        raise AnalysisError(
            f"The baseline {said!r} is no level of the factor '{name}'.", mend=nearest(said, texts)
        )
    return PlannedFactor(
        name=name,
        levels=tuple(levels),
        baseline=levels[0] if said is None else texts[said],
        at=SAMPLES if name == stated.budget else name,
    )


def _budget(cell: Cell, stated: Stated) -> dict[str, Any]:
    return {SAMPLES: count_of(cell[stated.budget], stated.budget)} if stated.budget else {}


def count_of(label: Any, column: str) -> float:
    """The number that a label of a budget stands for: `34B` is 34,000,000,000."""
    found = _COUNT.fullmatch(label_text(label).strip())
    number = float(found[1]) * _SIZES[found[2].lower()] if found else 0.0
    if number <= 0:
        raise AnalysisError(
            f"The budget '{column}' has the level {label_text(label)!r}.",
            why="A trend over budgets needs to know how large each of them is.",
            mend="Give a number above 0, or one with k, M, B or T, as 400M.",
        )
    return number


def _seeds(rows: pd.DataFrame, cells: Sequence[Cell], stated: Stated) -> list[int]:
    """The number of each row's block, or without one of its repetition within its cell."""
    if stated.block:
        blocks = _labels(rows, stated.block)
        known = {label: n for n, label in enumerate(dict.fromkeys(blocks))}
        numbers = [b if isinstance(b, int) and b >= 0 else known[b] for b in blocks]
        return numbers if len(set(numbers)) == len(known) else [known[block] for block in blocks]
    counted: dict[Cell, int] = {}
    seeds = []
    for cell in cells:
        seeds.append(counted.get(cell, 0))
        counted[cell] = seeds[-1] + 1
    return seeds


def _cells(cells: Sequence[Cell], factors: Mapping[str, PlannedFactor]) -> str:
    """What is said of the cells where not all are there, with the names of the first."""
    there, num_every = set(cells), math.prod(len(factor.levels) for factor in factors.values())
    left = num_every - len(there)
    if not left:
        return ""
    every = itertools.product(*(factor.levels for factor in factors.values()))
    absent = (cell for cell in (Cell(zip(factors, labels, strict=True)) for labels in every)
              if cell not in there)  # fmt: skip
    named = [
        ", ".join(f"{name} {label_text(label)}" for name, label in cell.items())
        for cell in itertools.islice(absent, MOST_NAMED)
    ]
    more = [f"{left - MOST_NAMED} more"] if left > MOST_NAMED else []
    return f"the others are not in the table ({'; '.join([*named, *more])})"


def _numbers(rows: pd.DataFrame, name: str, stated: Stated) -> list[float]:
    found = pd.to_numeric(rows[name], errors="coerce").astype(float)
    wrong = found.isna() & rows[name].notna() & (rows[name].astype(str).str.strip() != "")
    if wrong.any():
        raise AnalysisError(
            f"{_row(rows, wrong)} has {rows.loc[wrong, name].iloc[0]!r} for the response '{name}'.",
            why="A response is a number, or empty where the run has none.",
            mend="Correct it, or name another column.",
        )
    if stated.per_cent:
        found = found / 100
    outside = (found < 0) | (found > 1)
    if stated.kind == "share" and outside.any():
        said = rows.loc[outside, name].iloc[0]
        raise AnalysisError(
            f"{_row(rows, outside)} has {said!r} for the response '{name}'.",
            why="A share lies between 0 and 1, or in per cent between 0 and 100.",
            mend="Give --unit percent, or --unit number.",
        )
    return [float(value) for value in found]
