"""The trials table: one row per planned trial, whatever became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from seedbed.analyze.trials.confounds import RECIPE_PREFIX
from seedbed.analyze.trials.observations import AnalysisError
from seedbed.errors import nearest
from seedbed.study.label import label_text, same_label
from seedbed.study.record import STATUSES

_LEADING = ("seed", "cohort", "status", "reason")
_TRAILING = ("order_hash", "data_fingerprint", "recipe_key", "made_by")


def trials_table(design: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The design's trials in their order, joined with their records by key.

    Columns: key, one per factor (categorical, in the design's level order), seed, cohort, status,
    reason, the metrics (responses first; NaN unless the trial completed), order_hash,
    data_fingerprint, recipe_key, made_by, and recipe/<path> for every recipe field that varies.
    A planned trial without a record is `never_started`. Raises AnalysisError on a record twice, a
    record of no planned trial, or one of another cell or seed.
    """
    factors = _checked_factors(design)
    planned = {str(trial["key"]): trial for trial in design["trials"]}
    if len(planned) != len(design["trials"]):
        raise AnalysisError("The design plans one trial key twice.", mend="Plan every cell once.")
    records = _records_by_key(rows, planned)
    metrics = _metric_names(design, records.values())
    lines = []
    for key, trial in planned.items():
        record = records.get(key, {"status": "never_started", "reason": "no record"})
        _check_record(key, trial, record, factors)
        lines.append({"key": key, **_line(trial, record, factors, metrics)})
    columns = ["key", *factors, *_LEADING, *metrics, *_TRAILING]
    table = pd.DataFrame(lines, columns=columns)
    for path in _varying_fields(records.values()):
        table[RECIPE_PREFIX + path] = [
            _field(records.get(key, {}).get("recipe", {}), path) for key in planned
        ]
    for name, levels in factors.items():
        # From the lines: the table's column may be floats already.
        labels = pd.Series([line[name] for line in lines], dtype=object)
        table[name] = pd.Categorical(labels, categories=_categories(levels))
    statuses = Counter(table["status"])
    num_known = sum(statuses[status] for status in STATUSES)
    if num_known != len(planned):
        raise AnalysisError(f"{len(planned)} trials are planned, {num_known} have a status.")
    return table


def _categories(levels: list[Any]) -> pd.Index[Any]:
    """Levels as pandas keeps them; as objects where it would change one, as a large integer
    beside a fraction."""
    index = pd.Index(levels)
    same = [label_text(level) for level in index] == [label_text(level) for level in levels]
    return index if same else pd.Index(levels, dtype=object)


def _checked_factors(design: Mapping[str, Any]) -> dict[str, list[Any]]:
    taken = {"key", *_LEADING, *_TRAILING}
    factors = {name: list(factor["levels"]) for name, factor in design["factors"].items()}
    for name in factors:
        if name in taken:
            raise AnalysisError(
                f"Factor '{name}' has the name of another column of the trials table.",
                mend="Rename the factor.",
            )
    return factors


def _records_by_key(
    rows: Iterable[Mapping[str, Any]], planned: Mapping[str, Any]
) -> dict[str, Mapping[str, Any]]:
    records: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        key = str(row["key"])
        where = _where(row)
        if key in records:
            raise AnalysisError(
                f"Trial {key} ({where}) has two records.",
                why="Counting it twice would make the error look smaller than it is.",
                mend="Keep one record per trial key.",
            )
        if key not in planned:
            raise AnalysisError(
                f"Trial {key} ({where}) is not of this design.",
                why="Its recipe differs from every planned one, so its cell is another cell.",
                mend="Hand over the records of the planned keys only.",
            )
        if row["status"] not in STATUSES:
            raise AnalysisError(
                f"Trial {key} ({where}) has status {row['status']!r}.",
                mend=nearest(row["status"], STATUSES),
            )
        records[key] = row
    return records


def _where(row: Mapping[str, Any]) -> str:
    cell = ", ".join(f"{name} {level}" for name, level in dict(row.get("cell", {})).items())
    return f"{cell}, seed {row.get('seed')}".lstrip(", ")


def _metric_names(design: Mapping[str, Any], records: Iterable[Mapping[str, Any]]) -> list[str]:
    reported = {str(name) for record in records for name in record.get("metrics", {})}
    responses = list(design.get("responses", []))
    return [*responses, *sorted(reported - set(responses))]


def _varying_fields(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Recipe fields that are not the same in every record that has a recipe."""
    recipes = [record["recipe"] for record in records if record.get("recipe")]
    paths = sorted({path for recipe in recipes for path in recipe})
    return [path for path in paths if len({_field(recipe, path) for recipe in recipes}) > 1]


def _field(recipe: Mapping[str, Any], path: str) -> str | None:
    """A field as text, so that lists and numbers compare alike; None without a recipe."""
    if not recipe:
        return None
    return str(recipe[path]) if path in recipe else "absent"


def _check_record(
    key: str, trial: Mapping[str, Any], record: Mapping[str, Any], factors: Iterable[str]
) -> None:
    """The record must say the same cell and seed as the plan, where it says them."""
    cell = record.get("cell", {})
    for name in factors:
        if name in cell and not same_label(trial["cell"][name], cell[name]):
            raise AnalysisError(
                f"Trial {key} is planned at {name} {label_text(trial['cell'][name])} but its "
                f"record says {label_text(cell[name])}."
            )
    if record.get("seed", trial["seed"]) != trial["seed"]:
        raise AnalysisError(
            f"Trial {key} is planned with seed {trial['seed']} but its record says "
            f"{record['seed']}."
        )


def _line(
    trial: Mapping[str, Any],
    record: Mapping[str, Any],
    factors: Mapping[str, list[Any]],
    metrics: list[str],
) -> dict[str, Any]:
    line: dict[str, Any] = {
        "seed": trial["seed"],
        "cohort": record.get("cohort") or trial.get("cohort", ""),
        "status": record["status"],
        "reason": record.get("reason") or "",
    }
    for name, levels in factors.items():
        label = trial["cell"][name]
        known = {label_text(level): level for level in levels}
        if label_text(label) not in known:
            raise AnalysisError(
                f"A trial is planned at {name} {label!r}, which is no level of '{name}'.",
                mend=nearest(label, levels),
            )
        line[name] = known[label_text(label)]
    finished = record["status"] == "completed"
    values = record.get("metrics", {}) if finished else {}
    line.update({name: _number(values.get(name), name, trial) for name in metrics})
    line.update({name: record.get(name) or "" for name in _TRAILING})
    return line


def _number(value: Any, name: str, trial: Mapping[str, Any]) -> float:
    if value is None:
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise AnalysisError(
            f"Trial {trial['key']} reports {name} = {value!r}, which is no number."
        ) from None
