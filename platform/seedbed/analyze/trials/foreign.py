"""Tables of runs that this package did not make, as a design and its records."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from seedbed.analyze.trials.chance import check_chance, means_of, with_means
from seedbed.analyze.trials.foreign_rows import labels_of, numbers_of
from seedbed.analyze.trials.foreign_size import check_size
from seedbed.analyze.trials.observations import AnalysisError, label_text, require_column
from seedbed.analyze.trials.outcomes import outcomes
from seedbed.errors import nearest
from seedbed.metric import Kind, Metric
from seedbed.plan.design import Design, PlannedFactor, PlannedTrial, StatedClaim, StatedError
from seedbed.study.cell import Cell
from seedbed.study.claim import Claim, check_claims
from seedbed.study.record import Status, TrialRecord

SAMPLES = "budget.samples"  # the field of our own recipes that says how much a run sees
_COUNT = re.compile(r"(\d+(?:\.\d+)?(?:e\+?\d+)?)\s*([kmbgt]?)", re.IGNORECASE)
_SIZES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
HIGHEST_ORDER = "highest-order"
NO_VALUE = "the table has no value of it"
MOST_NAMED = 5  # cells that the table lacks, named in one sentence


@dataclass(frozen=True)
class Stated:
    """What a person says of a table: which columns mean what.

    `responses` are columns of numbers, the primary first; `factors` columns of labels, and
    `baselines` the label to compare with, by factor (else the first). `block` is a column whose
    rows share something, a seed or a machine: comparisons are made within its values. Without one,
    rows of one cell are independent repetitions. `kind` and `higher_is_better` are of all
    responses; percentages are of kind "share" with `per_cent`. `budget` is the factor that says how
    much a run saw, as a number or as `400M` or `34B`. `chance` is the share that guessing gets of a
    response; over two or more such responses their mean, and that above chance, are responses too.
    `error` is "" or "highest-order", which takes the interaction of all factors for the error where
    cells are not repeated.
    """

    responses: Sequence[str]
    factors: Sequence[str]
    block: str = ""
    baselines: Mapping[str, str] = field(default_factory=dict)
    kind: Kind = "number"
    per_cent: bool = False
    budget: str = ""
    chance: Mapping[str, float] = field(default_factory=dict)
    higher_is_better: bool = True
    error: str = ""
    claims: Sequence[Claim] = ()
    name: str = "table"


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
    check_chance(stated.chance, stated.responses, stated.kind)
    if not len(table):
        raise AnalysisError("The table has no row.", mend="Give one with a row for each run.")
    rows = table.reset_index(drop=True)
    labels = {name: labels_of(rows, name) for name in stated.factors}
    cells = [
        Cell(zip(labels, values, strict=True)) for values in zip(*labels.values(), strict=True)
    ]
    seeds = _seeds(rows, cells, stated)
    factors = {name: _factor(name, labels[name], stated) for name in stated.factors}
    order = min(2, len(factors))
    if stated.error == HIGHEST_ORDER:
        order = max(1, len(factors) - 1)
    check_size({name: len(factor.levels) for name, factor in factors.items()}, order)
    means = means_of(stated.chance, stated.responses)
    metrics = (*_metrics(stated), *means)
    check_claims(stated.claims, list(factors.values()), metrics)
    keys = [f"row-{number + 1:06d}" for number in range(len(rows))]
    highest = stated.error == HIGHEST_ORDER
    if highest:
        _require_single_runs(cells)
    design = Design(
        study=stated.name,
        question=f"What do {', '.join(stated.factors)} change?",
        factors=factors,
        responses=tuple(metric.name for metric in metrics),
        metrics=metrics,
        claims=tuple(StatedClaim(claim=claim) for claim in stated.claims),
        error=StatedError(kind="residual") if highest else StatedError(),
        cells=_cells(cells, factors),
        order=order,
        paired=bool(stated.block),
        seeds=tuple(sorted(set(seeds))),
        trials=tuple(
            PlannedTrial(key=key, cell=cell, seed=seed, recipe=_budget(cell, stated))
            for key, cell, seed in zip(keys, cells, seeds, strict=True)
        ),
    )
    values = {
        name: numbers_of(rows, name, kind=stated.kind, per_cent=stated.per_cent)
        for name in stated.responses
    }
    by_row = [{name: own[n] for name, own in values.items()} for n in range(len(rows))]
    ended = outcomes(rows, (*stated.factors, stated.block, *stated.responses))
    records = [
        _record(stated, key, cell, seed, with_means(own, stated.chance, means), outcome)
        for key, cell, seed, own, outcome in zip(keys, cells, seeds, by_row, ended, strict=True)
    ]
    return design, records


def _metrics(stated: Stated) -> tuple[Metric, ...]:
    return tuple(
        Metric(
            name,
            kind=stated.kind,
            higher_is_better=stated.higher_is_better,
            chance=stated.chance.get(name),
        )
        for name in stated.responses
    )


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
        blocks = labels_of(rows, stated.block)
        known = {label: n for n, label in enumerate(dict.fromkeys(blocks))}
        numbers = [b if isinstance(b, int) and b >= 0 else known[b] for b in blocks]
        return numbers if len(set(numbers)) == len(known) else [known[block] for block in blocks]
    counted: dict[Cell, int] = {}
    seeds = []
    for cell in cells:
        seeds.append(counted.get(cell, 0))
        counted[cell] = seeds[-1] + 1
    return seeds


def _require_single_runs(cells: Sequence[Cell]) -> None:
    """Refuses an interaction as the error where every cell has an error of its own."""
    fewest = min(Counter(cells).values())
    if fewest > 1:
        raise AnalysisError(
            f"The error is '{HIGHEST_ORDER}', and every cell has {fewest} runs or more.",
            why="Runs of one cell differ by their error alone; an interaction may be real.",
            mend=f"Leave --error {HIGHEST_ORDER} out.",
        )


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
    return f"it lacks {'; '.join([*named, *more])}"
