"""Split-plot analysis: one error between whole plots, another within them.

Trials that share a data order are one unit for every factor that is constant among them: more such
trials do not make an effect between units more certain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from seedbed.analyze.stats.error_term import ErrorTerm, judged_error
from seedbed.analyze.stats.fit import Term, term_columns
from seedbed.analyze.stats.space import Space, added_basis
from seedbed.analyze.trials.observations import (
    AnalysisError,
    Floats,
    Observations,
    levels_of,
    require_column,
)

_NOTHING_LEFT = 1e-8  # of a column's length


@dataclass(frozen=True)
class Strata:
    """The model between and within whole plots, each with its error; `whole_terms` are constant
    in every whole plot. `note` is empty when the split is exact."""

    whole_terms: frozenset[Term]
    between: tuple[Space, ErrorTerm]
    within: tuple[Space, ErrorTerm]
    note: str


def split(
    seen: Observations, trials: pd.DataFrame, terms: list[Term], whole_plot: str | Sequence[str]
) -> Strata:
    """Projects response and terms onto the whole plots' means and onto the deviations from them."""
    plots = _plots(seen, trials, whole_plot)
    sizes = plots.sum(axis=0)
    unit = plots / np.sqrt(sizes)  # orthonormal: one column a whole plot
    full = {term: term_columns(seen, term, seen.codes) for term in terms}
    inside = {term: _without(columns, unit) for term, columns in full.items()}
    whole_terms = frozenset(term for term, columns in inside.items() if not columns.any())
    inner = [term for term in terms if term not in whole_terms]
    y = seen.y - unit @ (unit.T @ seen.y)
    within = Space(np.zeros((len(y), 1)), {term: inside[term] for term in inner}, y)
    basis = within.span(inner)
    rest = y - basis @ (basis.T @ y)
    df = len(y) - plots.shape[1] - basis.shape[1]
    # Effects within plots are subtracted from the plots' means; in balanced plots they shift all
    # means alike.
    columns = np.hstack([np.zeros((len(y), 0)), *(inside[term] for term in inner)])
    slopes = np.linalg.pinv(columns, rcond=_NOTHING_LEFT) @ y if columns.size else np.zeros(0)
    raw = np.hstack([np.zeros((len(y), 0)), *(full[term] for term in inner)])
    means = unit.T @ (seen.y - raw @ slopes)
    space = Space(
        unit.T @ np.ones((len(y), 1)), {term: unit.T @ full[term] for term in whole_terms}, means
    )
    ordered = [term for term in terms if term in whole_terms]
    outer = space.span(ordered)
    left = means - outer @ (outer.T @ means)
    between = judged_error(seen, float(left @ left), plots.shape[1] - outer.shape[1])
    is_exact = bool((sizes == sizes[0]).all()) and added_basis(outer, _kept(unit, raw)).size == 0
    note = "" if is_exact else "whole plots are unequal: approximate"
    return Strata(
        whole_terms, (space, between), (within, judged_error(seen, float(rest @ rest), df)), note
    )


def _plots(seen: Observations, trials: pd.DataFrame, whole_plot: str | Sequence[str]) -> Floats:
    """Which whole plot each completed trial is in, as indicators [n, num_plots]."""
    names = [whole_plot] if isinstance(whole_plot, str) else list(whole_plot)
    if not names:
        raise AnalysisError("No column names the whole plot.", mend="Name one, as 'cohort'.")
    for name in names:
        require_column(trials, name)
        levels_of(trials.iloc[seen.rows][name], name)
    labels = trials.iloc[seen.rows][names].astype(str).agg("\x1f".join, axis=1)
    codes = np.unique(labels.to_numpy(dtype=str), return_inverse=True)[1].reshape(-1)
    if codes.max() == 0:
        raise AnalysisError(
            f"All completed trials are in one whole plot ({', '.join(names)}).",
            mend="Leave whole_plot out, or run further ones.",
        )
    plots: Floats = np.eye(codes.max() + 1)[codes]
    return plots


def _without(columns: Floats, unit: Floats) -> Floats:
    """The columns less the whole plots' means; exactly 0 where only rounding is left."""
    rest = columns - unit @ (unit.T @ columns)
    gone = np.linalg.norm(rest, axis=0) <= _NOTHING_LEFT * np.linalg.norm(columns, axis=0)
    rest[:, gone] = 0.0
    return rest


def _kept(unit: Floats, columns: Floats) -> Floats:
    """The columns' whole-plot means [num_plots, k]; exactly 0 where only rounding is left."""
    means: Floats = unit.T @ columns
    gone = np.linalg.norm(means, axis=0) <= _NOTHING_LEFT * np.linalg.norm(columns, axis=0)
    means[:, gone] = 0.0
    return means
