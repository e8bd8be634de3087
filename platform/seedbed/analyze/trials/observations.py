"""Reads a trials table for one analysis: which rows count, and what each column means.

Only completed trials enter; all planned rows fix the levels.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seedbed.analyze.numbers import counted
from seedbed.analyze.trials.responses import Floats as Floats
from seedbed.analyze.trials.responses import centred
from seedbed.errors import AnalysisError as AnalysisError
from seedbed.errors import nearest
from seedbed.study.label import label_text as label_text
from seedbed.study.record import STATUSES

Ints = NDArray[np.int64]
Level = Hashable

# Columns that describe how a trial went, not which trial it was.
OUTCOME_COLUMNS = ("key", "status", "reason", "cohort", "order_hash", "recipe_key")


@dataclass(frozen=True)
class Observations:
    """The completed trials of one response, centred, with their factor levels as codes.

    `codes[name]` [n] indexes `levels[name]`, `rows` [n] the table; `y` [n] is less `centre`;
    `planned` are the codes of the cells that the table has a trial of, whatever became of it.
    """

    response: str
    factors: tuple[str, ...]
    block: str | None
    levels: dict[str, tuple[Level, ...]]
    codes: dict[str, Ints]
    y: Floats
    centre: float
    num_seeds: int
    rows: Ints
    planned: frozenset[tuple[int, ...]] = frozenset()

    @property
    def is_constant(self) -> bool:
        return not np.any(self.y)

    @cached_property
    def cell_numbers(self) -> Ints:
        """Which filled cell each trial is in [n], in the order of the cells' codes."""
        codes = np.stack([self.codes[name] for name in self.factors], axis=1)
        numbers: Ints = np.unique(codes, axis=0, return_inverse=True)[1].reshape(-1)
        return numbers

    def cell_counts(self) -> dict[tuple[Level, ...], int]:
        """Completed trials per cell of the full grid of the factors' levels."""
        sizes = tuple(len(self.levels[name]) for name in self.factors)
        counts = np.zeros(sizes, dtype=int)
        np.add.at(counts, tuple(self.codes[name] for name in self.factors), 1)
        return {
            tuple(self.levels[name][i] for name, i in zip(self.factors, index, strict=True)): int(
                counts[index]
            )
            for index in np.ndindex(*sizes)
        }

    def code_of(self, factor: str, level: Any) -> int:
        """The index of a level, exactly or by its text; raises with the nearest one."""
        known = self.levels[factor]
        for index, value in enumerate(known):
            if value == level or label_text(value) == label_text(level):
                return index
        raise AnalysisError(
            f"Factor '{factor}' has no level {level!r} in the trials.", mend=nearest(level, known)
        )


def observe(
    trials: pd.DataFrame, response: str, factors: Sequence[str], block: str | None = None
) -> Observations:
    """The completed trials of `trials` as numbers and codes; raises AnalysisError in words."""
    names = _checked_names(trials, response, factors, block)
    # First of all: a missing label is a clearer fault than what follows it.
    planned = {name: levels_of(trials[name], name) for name in names}
    refuse_duplicates(trials, response, names)
    keep, y, centre = centred(trials[response], completed(trials))
    if not len(y):
        raise AnalysisError(
            f"No completed trial has a value of '{response}'.",
            why=f"The table holds {len(trials)} planned trials.",
            mend="Run the study, or ask for a response that its trials report.",
        )
    levels, codes = {}, {}
    for name in (*names, *([block] if block else [])):
        done = trials.loc[keep, name]
        # A seed without a completed trial is no block; a planned level stays in the grid.
        levels[name] = levels_of(done, name) if name == block else planned[name]
        categorical = pd.Categorical(done, categories=list(levels[name]))
        codes[name] = np.array(categorical.codes, dtype=np.int64)
    return Observations(
        response=response,
        factors=names,
        block=block,
        levels=levels,
        codes=codes,
        y=y,
        centre=centre,
        num_seeds=_num_seeds(trials[keep], codes, names),
        rows=np.flatnonzero(keep),
        planned=_planned(trials, planned),
    )


def _planned(
    trials: pd.DataFrame, levels: dict[str, tuple[Level, ...]]
) -> frozenset[tuple[int, ...]]:
    codes = [
        pd.Categorical(trials[name], categories=list(own)).codes for name, own in levels.items()
    ]
    return frozenset(map(tuple, np.unique(np.stack(codes, axis=1), axis=0).tolist()))


def completed(trials: pd.DataFrame) -> NDArray[np.bool_]:
    """Which rows are completed trials [n]; without a `status` column all are."""
    if "status" not in trials.columns:
        return np.ones(len(trials), dtype=bool)
    unknown = sorted({str(status) for status in trials["status"].unique()} - set(STATUSES))
    if unknown:
        raise AnalysisError(
            f"Trial status {unknown[0]!r} is not known.", mend=nearest(unknown[0], STATUSES)
        )
    return np.array(trials["status"].astype(str) == "completed", dtype=bool)


def levels_of(column: pd.Series[Any], name: str) -> tuple[Level, ...]:
    """A factor's levels: the declared order of a categorical column, else sorted values."""
    if column.isna().any():
        raise AnalysisError(
            f"Column '{name}' has no level in {int(column.isna().sum())} rows.",
            mend="Give every planned trial a level of every factor.",
        )
    if isinstance(column.dtype, pd.CategoricalDtype):
        present = set(column.drop_duplicates())
        return tuple(level for level in column.cat.categories if level in present)
    try:
        return tuple(sorted(set(column.drop_duplicates()), key=_sort_key))
    except TypeError:
        raise AnalysisError(
            f"Column '{name}' holds values that are no labels, as {column.iloc[0]!r}.",
            mend="Use strings or numbers as levels.",
        ) from None


def _sort_key(level: Any) -> tuple[int, float, str]:
    if isinstance(level, int | float | np.integer | np.floating):
        return (0, float(level), "")
    return (1, 0.0, str(level))


def several_names(names: Sequence[str], argument: str) -> tuple[str, ...]:
    """`names` as a tuple. Raises for a bare text, and for what holds no names."""
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise AnalysisError(
            f"`{argument}` is {names!r}.",
            why="It is a sequence of names, also where there is one; a text would be taken letter "
            "by letter."
            if isinstance(names, str)
            else "It is a sequence of names.",
            mend=f"Give {argument}=[{names!r}]." if isinstance(names, str) else "Give a list.",
        )
    return tuple(names)


def _checked_names(
    trials: pd.DataFrame, response: str, factors: Sequence[str], block: str | None
) -> tuple[str, ...]:
    names = several_names(factors, "factors")
    if not names:
        raise AnalysisError("No factor was named.", mend="Name a factor column.")
    for name in (response, *names, *([block] if block else [])):
        require_column(trials, name)
    if len({response, block, *names}) != len(names) + 2:
        raise AnalysisError(
            f"One column plays two parts: response '{response}', block {block!r}, "
            f"factors {', '.join(names)}.",
            mend="Name the response, the block and every factor once.",
        )
    return names


def require_column(trials: pd.DataFrame, name: str) -> None:
    if name not in trials.columns:
        known = [str(column) for column in trials.columns]
        raise AnalysisError(f"The trials have no column '{name}'.", mend=nearest(name, known))


def refuse_duplicates(trials: pd.DataFrame, response: str, factors: Sequence[str]) -> None:
    """Raises when two rows are the same trial: by key, else by cell, seed and every label."""
    if "key" in trials.columns:
        identity = ["key"]
    elif "seed" in trials.columns and not trials["seed"].isna().all():
        labels = [
            column
            for column in trials.columns
            if column not in (response, *OUTCOME_COLUMNS) and "/" not in str(column)
        ]
        identity = list(dict.fromkeys((*factors, "seed", *labels)))
    else:
        return
    # As text: labels beside the factors may be lists, which cannot be compared otherwise.
    repeated = trials[identity].astype(str).duplicated()
    if repeated.any():
        first = trials.loc[repeated, [c for c in (*factors, "seed") if c in trials.columns]].iloc[0]
        where = ", ".join(f"{name} {value}" for name, value in first.items())
        raise AnalysisError(
            f"{counted(int(repeated.sum()), 'row')} of the table repeat a trial, as {where}."
            if repeated.sum() > 1
            else f"A row of the table repeats a trial: {where}.",
            why="A trial counted twice makes the error look smaller than it is.",
            mend="Keep one row per planned trial.",
        )


def _num_seeds(rows: pd.DataFrame, codes: dict[str, Ints], factors: tuple[str, ...]) -> int:
    """The number of replicates: of seeds, but at most the runs of one cell."""
    cells = np.stack([codes[name] for name in factors], axis=1)
    num_runs = int(np.unique(cells, axis=0, return_counts=True)[1].max())
    if "seed" in rows.columns and rows["seed"].notna().any():
        return min(num_runs, int(rows["seed"].nunique()))
    return num_runs
