"""The trials table: one row per planned trial, whatever its outcome."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from seedbed.analyze.trials.confounds import RECIPE_PREFIX
from seedbed.analyze.trials.observations import AnalysisError, Level
from seedbed.errors import nearest
from seedbed.evaluate.means import MEANS, NUM_TESTS
from seedbed.plan.design import Design, PlannedTrial
from seedbed.study.label import label_text, same_label
from seedbed.study.record import TrialRecord

_LEADING = ("seed", "cohort", "status", "reason")
HALF = "seed_half"  # which seed, and which half of a fraction that was folded over
_TRAILING = (
    *("order_hash", "data_fingerprint", "recipe_key", "made_by", "layout"),
    *("failure", "attempt", "origin"),
)


def trials_table(design: Design, records: Iterable[TrialRecord]) -> pd.DataFrame:
    """The design's trials in their order, joined with their records by key.

    Columns: key, one per factor (categorical, in the design's level order), seed, cohort, status,
    reason, the metrics (responses first; NaN unless the trial completed), order_hash,
    data_fingerprint, recipe_key, made_by, layout, failure, attempt, origin, and recipe/<path> for
    every recipe field that varies. A planned trial without a record is `never_started`, and a mean
    over fewer test sets than other trials' is missing. Raises AnalysisError on a record twice, a
    record of no planned trial, or one of another cell or seed.
    """
    _check_names(design)
    if len({trial.key for trial in design.trials}) != len(design.trials):
        raise AnalysisError("The design plans one trial key twice.", mend="Plan every cell once.")
    by_key = _by_key(design, records)
    metrics = _metric_names(design, by_key.values())
    levels = {
        name: {label_text(level): level for level in factor.levels}
        for name, factor in design.factors.items()
    }
    rows = [_row(trial, by_key.get(trial.key), levels, metrics) for trial in design.trials]
    columns = ["key", *levels, *_LEADING, *metrics, *_TRAILING]
    table = pd.DataFrame(rows, columns=columns)
    if any(trial.half for trial in design.trials):
        table[HALF] = [half_label(trial) for trial in design.trials]
    for path in _varying_fields(design):
        table[RECIPE_PREFIX + path] = [_field(trial, path) for trial in design.trials]
    for name, factor in design.factors.items():
        # From the rows: the table's column may be floats already.
        labels = pd.Series([row[name] for row in rows], dtype=object)
        table[name] = pd.Categorical(labels, categories=_categories(list(factor.levels)))
    return _over_the_same_tests(table)


def _over_the_same_tests(table: pd.DataFrame) -> pd.DataFrame:
    """Without the means of trials that were scored on fewer test sets than others: on easier ones,
    or on harder."""
    if NUM_TESTS.name in table.columns:
        fewer = table[NUM_TESTS.name] < table[NUM_TESTS.name].max()
        own = [metric.name for metric in MEANS if metric.name in table.columns]
        table.loc[fewer, own] = float("nan")
    return table


def half_label(trial: PlannedTrial) -> str:
    """`0/2` of seed 0 in the half that was added."""
    return f"{trial.seed}/{trial.half}"


def _categories(levels: list[Any]) -> pd.Index[Any]:
    """Levels as pandas keeps them; as objects where it would change one, as a large integer
    beside a fraction."""
    index = pd.Index(levels)
    same = [label_text(level) for level in index] == [label_text(level) for level in levels]
    return index if same else pd.Index(levels, dtype=object)


def _check_names(design: Design) -> None:
    for name in design.factors:
        if name in ("key", HALF, *_LEADING, *_TRAILING):
            raise AnalysisError(
                f"Factor '{name}' has the name of another column of the trials table.",
                mend="Rename the factor.",
            )


def _by_key(design: Design, records: Iterable[TrialRecord]) -> dict[str, TrialRecord]:
    """The records by key. Raises AnalysisError for one that the design cannot place."""
    planned = {trial.key: trial for trial in design.trials}
    by_key: dict[str, TrialRecord] = {}
    for record in records:
        cell = ", ".join(f"{name} {level}" for name, level in record.cell.items())
        where = f"Trial {record.key} ({cell}, seed {record.seed})"
        if record.key in by_key:
            raise AnalysisError(
                f"{where} has two records.",
                why="Counting it twice would make the error look smaller than it is.",
                mend="Keep one record per trial key.",
            )
        if record.key not in planned:
            raise AnalysisError(
                f"{where} is not of this design.",
                why="Its recipe differs from every planned one, so its cell is another cell.",
                mend="Hand over the records of the planned keys only.",
            )
        _check_same(planned[record.key], record, design.factors)
        by_key[record.key] = record
    return by_key


def _check_same(trial: PlannedTrial, record: TrialRecord, factors: Iterable[str]) -> None:
    """The record must say the same cell and seed as the plan."""
    for name in factors:
        if name in record.cell and not same_label(trial.cell[name], record.cell[name]):
            raise AnalysisError(
                f"Trial {trial.key} is planned at {name} {label_text(trial.cell[name])} but its "
                f"record says {label_text(record.cell[name])}."
            )
    if record.seed != trial.seed:
        raise AnalysisError(
            f"Trial {trial.key} is planned with seed {trial.seed} but its record says "
            f"{record.seed}."
        )


def _metric_names(design: Design, records: Iterable[TrialRecord]) -> list[str]:
    reported = {name for record in records for name in record.metrics}
    return [*design.responses, *sorted(reported - set(design.responses))]


def _varying_fields(design: Design) -> list[str]:
    """Recipe fields that are not the same in every trial."""
    paths = sorted({path for trial in design.trials for path in trial.recipe})
    return [path for path in paths if len({_field(trial, path) for trial in design.trials}) > 1]


def _field(trial: PlannedTrial, path: str) -> str | None:
    """A field as text, so that lists and numbers compare alike; None without a recipe."""
    if not trial.recipe:
        return None
    return str(trial.recipe[path]) if path in trial.recipe else "absent"


def _row(
    trial: PlannedTrial,
    record: TrialRecord | None,
    levels: Mapping[str, Mapping[str, Level]],
    metrics: list[str],
) -> dict[str, Any]:
    row: dict[str, Any] = {"key": trial.key, "seed": trial.seed, "cohort": trial.cohort}
    for name, known in levels.items():
        label = trial.cell[name]
        if label_text(label) not in known:
            raise AnalysisError(
                f"A trial is planned at {name} {label!r}, which is no level of '{name}'.",
                mend=nearest(label, known.values()),
            )
        row[name] = known[label_text(label)]
    if record is None:
        unknown = dict.fromkeys(_TRAILING, "") | {"attempt": 0}
        told = {"status": "never_started", "reason": "no record"}
        return row | told | dict.fromkeys(metrics, float("nan")) | unknown
    row["cohort"] = record.cohort or trial.cohort
    values = record.metrics if record.status == "completed" else {}
    row |= {"status": record.status, "reason": record.reason}
    row |= {name: values.get(name, float("nan")) for name in metrics}
    return row | {name: getattr(record, name) for name in _TRAILING}
