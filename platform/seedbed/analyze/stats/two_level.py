"""Effects of two-level designs, also without replicates: contrasts, aliases and Lenth's margins."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from seedbed.analyze.numbers import counted
from seedbed.analyze.stats.comparison import COLUMNS, Estimate
from seedbed.analyze.stats.fit import Fit, Term
from seedbed.analyze.stats.shared_columns import with_shared
from seedbed.analyze.trials.observations import AnalysisError, Floats, Level, Observations, observe

_CONFIDENCE = 0.95
BLOCKS = "not estimable: it cannot be told from what the blocks differ by"
_MOST_FACTORS = 10  # 2^10 contrasts; beyond that a screening design is read with `anova`
_FEWEST_EFFECTS = 3  # Lenth's pseudo standard error has m/3 degrees of freedom


def effects_two_level(
    trials: pd.DataFrame,
    response: str,
    factors: Sequence[str],
    *,
    block: str | None = None,
    error: str = "pooled",
) -> pd.DataFrame:
    """Mean at the high level minus mean at the low one, for every effect the design separates.

    Indexed by term (the lowest-order member of its alias set); columns effect, alias (the other
    members, `-` where the sign turns), half_normal_quantile, significant_me, significant_sme, then
    se, df, t, p, ci_low, ci_high, judged_by, note; attrs PSE, ME, SME, df (all Lenth's), judged_by,
    defining_relation, note. Cells have equal weight, whatever their number of replicates.

    Where cells have replicates, significance is judged by their error ("replicates": `error` as in
    `contrasts`, the block's shifts taken out), for one effect and for all effects together (Sidak).
    Without replicates it is judged by Lenth's margins, which assume that most effects are 0. With a
    block, an effect that is a difference of blocks has NaN and a note. Raises
    AnalysisError on other numbers of levels and on designs that are not orthogonal. Lenth 1989
    (Technometrics 31:469); Box, Hunter & Hunter 2005, chapter 5.
    """
    seen = observe(trials, response, factors, block)
    _require_two_levels(seen)
    signs, means = _cells(seen)
    sets, intercept = _alias_sets(seen.factors, signs)
    half = len(means) / 2
    estimates = _estimates(seen, [column / half for column, _ in sets.values()], error)
    is_judged = any(np.isfinite(one.std_error) for one in estimates)
    # Without a block the plain cell means. With one, what blocks differ by is in no effect: one
    # that cannot be told from it has no value, and no part in judging the others.
    values = [
        float(column @ means) / half if block is None else one.estimate
        for one, (column, _) in zip(estimates, sets.values(), strict=True)
    ]
    table = pd.DataFrame(
        {"effect": values, "alias": [" = ".join(members) for _, members in sets.values()]},
        index=pd.Index([":".join(term) for term in sets], name="term"),
    )
    size = table["effect"].abs()
    rank = size.rank(method="first")
    estimable = np.isfinite(size.to_numpy())
    num_effects = int(estimable.sum())
    table["half_normal_quantile"] = stats.norm.ppf(0.5 + 0.5 * (rank - 0.5) / num_effects)
    pse, me, sme, note = lenth(np.asarray(size)[estimable])
    margins = _margins(estimates, num_effects) if is_judged else (me, sme)
    for column, margin in zip(("significant_me", "significant_sme"), margins, strict=True):
        known = is_judged or note == ""
        table[column] = size > margin if known else pd.array([pd.NA] * len(table), "boolean")
        if not estimable.all():
            table[column] = table[column].astype("boolean").where(estimable)
    rows = pd.DataFrame([one.row() for one in estimates], index=table.index)
    table = table.join(rows[["se", "df", "t", "p", "ci_low", "ci_high"]])
    table["judged_by"] = judged_by = "replicates" if is_judged else "Lenth"
    table["note"] = rows["note"].where(estimable, BLOCKS)
    table.attrs.update(
        PSE=pse, ME=me, SME=sme, df=num_effects / 3, judged_by=judged_by,
        defining_relation=intercept, note=note,
    )  # fmt: skip
    return with_shared(table, **{**COLUMNS, "estimate": "effect"})


def _estimates(seen: Observations, weights: Sequence[Floats], error: str) -> list[Estimate]:
    """Functions of the filled cells' means [num_cells], each cell with a mean of its own."""
    codes = {"cell": seen.cell_numbers}
    levels: dict[str, tuple[Level, ...]] = {"cell": tuple(range(len(weights[0])))}
    if seen.block is not None:
        codes[seen.block], levels[seen.block] = seen.codes[seen.block], seen.levels[seen.block]
    fit = Fit(replace(seen, factors=("cell",), codes=codes, levels=levels), 1, error)
    cells = np.array([fit.cell_weights({"cell": cell}) for cell in range(len(weights[0]))])
    return [fit.estimate(own @ cells) for own in weights]


def _margins(estimates: Sequence[Estimate], num_effects: int) -> tuple[Floats, Floats]:
    """The margin of error of each effect [m]: for it alone, and simultaneous for all effects."""
    one, other = (
        np.array([stats.t.ppf((1 + level) / 2, e.df) * e.std_error for e in estimates])
        for level in (_CONFIDENCE, _CONFIDENCE ** (1 / num_effects))
    )
    return one, other


def lenth(effects: Floats) -> tuple[float, float, float, str]:
    """Pseudo standard error, margin of error and simultaneous margin of effects [m], and a note."""
    nan = float("nan")
    num_effects = len(effects)
    if num_effects < _FEWEST_EFFECTS:
        return nan, nan, nan, f"{num_effects} effects are too few to judge one by the others"
    size = np.abs(effects)
    start = 1.5 * float(np.median(size))
    if start == 0:
        return nan, nan, nan, "most effects are exactly 0: there is no error to judge by"
    pse = 1.5 * float(np.median(size[size < 2.5 * start]))
    df = num_effects / 3
    me = float(stats.t.ppf(0.975, df)) * pse
    sme = float(stats.t.ppf((1 + 0.95 ** (1 / num_effects)) / 2, df)) * pse
    return pse, me, sme, ""


def _require_two_levels(seen: Observations) -> None:
    for name in seen.factors:
        if len(seen.levels[name]) != 2:
            raise AnalysisError(
                f"Factor '{name}' has {counted(len(seen.levels[name]), 'level')}: "
                f"{', '.join(map(str, seen.levels[name]))}.",
                why="Effects of high minus low need two levels each.",
                mend="Use anova and contrasts, or leave this factor out.",
            )
    if len(seen.factors) > _MOST_FACTORS:
        raise AnalysisError(
            f"{len(seen.factors)} factors have more than 2^{_MOST_FACTORS} effects.",
            mend=f"Name at most {_MOST_FACTORS} factors.",
        )


def _cells(seen: Observations) -> tuple[dict[str, Floats], Floats]:
    """Signs [num_cells] of every factor and the mean response [num_cells] of the filled cells."""
    codes = np.stack([seen.codes[name] for name in seen.factors], axis=1)
    cells, which = np.unique(codes, axis=0, return_inverse=True)
    which = which.reshape(-1)
    means: Floats = np.bincount(which, weights=seen.y) / np.bincount(which)
    coded: Floats = np.where(cells == 1, 1.0, -1.0)
    return dict(zip(seen.factors, coded.T, strict=True)), means


def _alias_sets(
    factors: tuple[str, ...], signs: dict[str, Floats]
) -> tuple[dict[Term, tuple[Floats, list[str]]], list[str]]:
    """Contrast columns that differ, each with its further names; and what equals the mean."""
    sets: dict[Term, tuple[Floats, list[str]]] = {}
    intercept: list[str] = []
    num_cells = len(signs[factors[0]])
    for size in range(1, len(factors) + 1):
        for term in itertools.combinations(factors, size):
            column = np.prod([signs[name] for name in term], axis=0)
            name = ":".join(term)
            if abs(column.sum()) == num_cells:
                intercept.append(name if column[0] > 0 else f"-{name}")
                continue
            overlaps = {known: float(column @ sets[known][0]) for known in sets}
            same = [known for known, overlap in overlaps.items() if abs(overlap) == num_cells]
            if same:
                sets[same[0]][1].append(name if overlaps[same[0]] > 0 else f"-{name}")
            elif column.sum() != 0 or any(overlaps.values()):
                raise AnalysisError(
                    f"The completed cells are not an orthogonal two-level design: '{name}' is "
                    "partly mixed with other effects.",
                    why="High minus low would then hold pieces of other effects.",
                    mend="Use anova and contrasts, which fit all effects together.",
                )
            else:
                sets[term] = (column, [])
    if not sets:
        raise AnalysisError("The completed trials lie in one cell.", mend="Run further cells.")
    return sets, intercept
