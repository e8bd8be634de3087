"""Rows of tables that this package did not make: which of them count, their labels and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from seedbed.analyze.trials.observations import AnalysisError
from seedbed.metric import Kind
from seedbed.study.cell import canonical

NAMES = ("run_name", "Name")  # the columns that name a run: MLflow's, and W&B's exports'


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


def num_repeated(table: pd.DataFrame) -> int:
    """How many rows are another one again in every column: perhaps one run, written twice."""
    return int(table.astype(str).duplicated().sum())


def labels_of(rows: pd.DataFrame, name: str) -> list[Any]:
    column = rows[name]
    if column.isna().any():
        first = _row(rows, column.isna())
        raise AnalysisError(
            f"{first} has no value of the factor '{name}'.",
            why="A run without a label is in no cell.",
            mend="Fill it, leave the row out, or leave the factor out.",
        )
    return [canonical(value) for value in column]


def numbers_of(rows: pd.DataFrame, name: str, *, kind: Kind, per_cent: bool) -> list[float]:
    found = pd.to_numeric(rows[name], errors="coerce").astype(float)
    wrong = found.isna() & rows[name].notna() & (rows[name].astype(str).str.strip() != "")
    if wrong.any():
        raise AnalysisError(
            f"{_row(rows, wrong)} has {rows.loc[wrong, name].iloc[0]!r} for the response '{name}'.",
            why="A response is a number, or empty where the run has none.",
            mend="Correct it, or name another column.",
        )
    if per_cent:
        found = found / 100
    outside = (found < 0) | (found > 1)
    if kind == "share" and outside.any():
        said = rows.loc[outside, name].iloc[0]
        raise AnalysisError(
            f"{_row(rows, outside)} has {said!r} for the response '{name}'.",
            why="A share lies between 0 and 1, or in per cent between 0 and 100.",
            mend="Give --unit percent, or --unit number.",
        )
    return [float(value) for value in found]


def _row(rows: pd.DataFrame, where: pd.Series[bool]) -> str:
    """The first row of `where` in words, with its run's name where the table has one."""
    first = int(where.to_numpy().argmax())
    named = next((f" ('{rows[name].iloc[first]}')" for name in NAMES if name in rows), "")
    return f"Row {first + 1}{named}"
