"""Analysis of variance by nested models, valid with empty cells and aliased effects too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from seedbed.analyze.stats.error_term import ErrorTerm
from seedbed.analyze.stats.fit import (
    Fit,
    Term,
    full_df,
    missing_cells_text,
)
from seedbed.analyze.stats.shared_columns import with_shared
from seedbed.analyze.stats.strata import Strata, split
from seedbed.analyze.trials.observations import AnalysisError, Floats, Observations, observe

COLUMNS = ("df", "sum_sq", "mean_sq", "F", "p", "partial_eta_sq", "omega_sq", "note")


def anova(
    trials: pd.DataFrame,
    response: str,
    factors: Sequence[str],
    *,
    block: str | None = None,
    order: int = 2,
    typ: int = 2,
    whole_plot: str | Sequence[str] | None = None,
    error: str = "pooled",
) -> pd.DataFrame:
    """The ANOVA table, one row per term (`A`, `A:B`), the block and `Residual`.

    `order` is the largest number of factors in a term. `typ` 1 adds terms in their order, 2 takes
    each after all terms that do not contain it, 3 after all others (and raises AnalysisError on a
    rank-deficient design, where it tests no hypothesis about marginal means). What cannot be
    estimated is NaN with a note. `partial_eta_sq` is SS / (SS + error SS), `omega_sq` is (SS - df *
    error MS) / (total SS + error MS), at least 0.

    `whole_plot` names columns that together say which trials were run as one unit (one cohort, one
    data order). Terms that only change from unit to unit are then tested against the variation
    between units, in row `Residual (whole plot)`, all others against that within; column `stratum`
    says which. Like R's `aov(y ~ ... + Error(unit))`; Yates 1935. With `error` "residual" tests use
    what the model leaves out, also where no cell is repeated.
    Fox & Weisberg, An R Companion to Applied Regression (car::Anova); Olejnik & Algina 2003.
    """
    if typ not in (1, 2, 3):
        raise AnalysisError(f"typ is {typ!r}.", mend="Use 1, 2 or 3.")
    if order < 1:
        raise AnalysisError(f"order is {order!r}.", mend="Use 1 (main effects) or more.")
    seen = observe(trials, response, factors, block)
    fit = Fit(seen, order, error)
    terms = fit.terms
    if whole_plot is not None:
        if typ == 3:
            raise AnalysisError("typ=3 has no whole plots.", mend="Use typ=2 with whole_plot.")
        return _table(_rows_by_stratum(seen, terms, typ, split(seen, trials, terms, whole_plot)))
    if typ == 3:
        _refuse_deficient(seen, terms, fit.basis)
    space = fit.space()
    rows = {}
    for place, term in enumerate(terms):
        added = space.added(term, _compared_with(terms, place, typ))
        rows[":".join(term)] = _term_row(seen, term, added.T @ space.y, fit.error)
    rows["Residual"] = _residual_row(fit.error)
    return _table(rows)


def _table(rows: dict[str, tuple[float | str, ...]]) -> pd.DataFrame:
    width = len(next(iter(rows.values())))
    columns = [*COLUMNS, "stratum"][:width]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    table.index.name = "term"
    return with_shared(table, statistic="F", p_value="p")


def _rows_by_stratum(
    seen: Observations, terms: list[Term], typ: int, strata: Strata
) -> dict[str, tuple[float | str, ...]]:
    rows = {}
    for place, term in enumerate(terms):
        is_whole = term in strata.whole_terms
        space, error = strata.between if is_whole else strata.within
        others = [
            other
            for other in _compared_with(terms, place, typ)
            if (other in strata.whole_terms) == is_whole
        ]
        added = space.added(term, others)
        row = _term_row(seen, term, added.T @ space.y, error)
        note = "; ".join(str(part) for part in (row[-1], strata.note if is_whole else "") if part)
        rows[":".join(term)] = (*row[:-1], note, "whole plot" if is_whole else "within")
    rows["Residual (whole plot)"] = (*_residual_row(strata.between[1]), "whole plot")
    rows["Residual"] = (*_residual_row(strata.within[1]), "within")
    return rows


def _compared_with(terms: list[Term], place: int, typ: int) -> list[Term]:
    """The terms that a term is fitted after."""
    if typ == 1:
        return terms[:place]
    others = [term for i, term in enumerate(terms) if i != place]
    if typ == 3:
        return others
    return [term for term in others if not set(terms[place]) <= set(term)]


def _refuse_deficient(seen: Observations, terms: list[Term], whole: Floats) -> None:
    num_columns = 1 + sum(full_df(seen, term) for term in terms)
    if whole.shape[1] < num_columns:
        raise AnalysisError(
            f"Type 3 sums of squares need a full-rank design; this one has rank {whole.shape[1]} "
            f"of {num_columns}: {missing_cells_text(seen)}.",
            why="With an empty cell or an alias they test no hypothesis about marginal means.",
            mend="Use typ=2, a lower order, or complete the missing cells.",
        )


def _term_row(
    seen: Observations, term: Term, along: Floats, error: ErrorTerm
) -> tuple[float | str, ...]:
    """The row of a term; `along` [df] is the response projected onto what the term adds."""
    nan = float("nan")
    df, planned = len(along), full_df(seen, term)
    if planned == 0:
        name = next(name for name in term if len(seen.levels[name]) < 2)
        note = f"not estimable: '{name}' has one level, {seen.levels[name][0]}"
        return (0, nan, nan, nan, nan, nan, nan, note)
    if df == 0:
        note = f"not estimable: {missing_cells_text(seen)}"
        return (0, nan, nan, nan, nan, nan, nan, note)
    notes = []
    if df < planned:
        notes.append(f"{df} of {planned} degrees of freedom: {missing_cells_text(seen)}")
    sum_sq = float(along @ along)
    mean_sq = sum_sq / df
    if error.refusal:
        notes.append(error.refusal)
        return (df, sum_sq, mean_sq, nan, nan, nan, nan, "; ".join(notes))
    ratio = mean_sq / error.mean_sq
    total = float(seen.y @ seen.y)
    omega = max(0.0, (sum_sq - df * error.mean_sq) / (total + error.mean_sq))
    p = float(stats.f.sf(ratio, df, error.df))
    eta = sum_sq / (sum_sq + error.sum_sq)
    return (df, sum_sq, mean_sq, ratio, p, eta, omega, "; ".join(notes))


def _residual_row(error: ErrorTerm) -> tuple[float | str, ...]:
    nan = float("nan")
    sum_sq = error.sum_sq if error.df else np.nan
    return (error.df, sum_sq, error.mean_sq, nan, nan, nan, nan, error.refusal)
