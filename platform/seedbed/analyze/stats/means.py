"""Marginal means, contrasts against a baseline, and interaction contrasts.

The model holds the factors, their two-factor interactions and the block. With `block="seed"` every
comparison is within seeds, that is paired, and its error is pooled over the whole study; its t
intervals keep their coverage where a mixed model's normal ones do not (3 seeds: 81 % for 95 %).
They assume that all cells vary alike; `error="cells"` does not, and `error="unequal"` not even that
trials of a block vary independently, at the price of width.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from seedbed.analyze.stats.comparison import COLUMNS, Comparison, adjusted, comparison_table
from seedbed.analyze.stats.crossed import other_factors
from seedbed.analyze.stats.fit import Fit
from seedbed.analyze.stats.random_seeds import checked_seeds
from seedbed.analyze.stats.shared_columns import with_shared
from seedbed.analyze.trials.observations import (
    AnalysisError,
    Floats,
    Level,
    Observations,
    observe,
    several_names,
)
from seedbed.errors import nearest
from seedbed.study.cell import Cell


def marginal_means(
    trials: pd.DataFrame,
    response: str,
    factors: Sequence[str],
    at: str | Sequence[str],
    *,
    block: str | None = None,
    order: int = 2,
    error: str = "pooled",
    seeds: str = "fixed",
) -> pd.DataFrame:
    """The mean at each level of `at`, all levels of the other factors counting equally.

    `at` is a factor, or several for the means of their cells (`level` is then a tuple). Columns
    level, mean, se, df, ci_low, ci_high, note, and those of `SHARED`. With `seeds="fixed"` the
    intervals are of the mean of these very blocks, with "random" of that of all the blocks they are
    drawn from. Searle, Speed & Milliken 1980 (population marginal means), as in R's emmeans.
    """
    seen = observe(trials, response, factors, block)
    names = (at,) if isinstance(at, str) else tuple(at)
    for name in names:
        _require_factor(seen, name)
    kind = checked_seeds(seeds, block)
    fit = Fit(seen, order, error)
    rows = []
    for codes in itertools.product(*(range(len(seen.levels[name])) for name in names)):
        weights = fit.cell_weights(dict(zip(names, codes, strict=True)))
        mean = fit.estimate(weights, seen.centre, kind)
        values = tuple(seen.levels[name][i] for name, i in zip(names, codes, strict=True))
        level = values[0] if isinstance(at, str) else values
        rows.append({"level": level, "mean": mean.estimate, **mean.row()})
    # Its t and p against 0, which few ask for, stand under the shared names only.
    table = with_shared(pd.DataFrame(rows), **{**COLUMNS, "estimate": "mean"})
    return table.drop(columns=["t", "p"])


def contrasts(
    trials: pd.DataFrame,
    response: str,
    factors: Sequence[str],
    *,
    of: str,
    baseline: object,
    block: str | None = None,
    adjust: str = "holm",
    order: int = 2,
    error: str = "pooled",
) -> pd.DataFrame:
    """Each level of `of` minus its baseline level; p values adjusted over these comparisons.

    Columns level, difference, se, df, t, p, p_adjusted, ci_low, ci_high, note. `adjust` is none,
    holm, bh or bonferroni; the intervals are of 95 % each. `error` is pooled, cells or unequal (see
    `Fit`). Without a block the note says so where trials of one seed are in several cells. Raises
    AnalysisError when there is nothing to compare.
    """
    seen = observe(trials, response, factors, block)
    warning = _seeds_in_error(trials, seen)
    comparisons = level_contrasts(Fit(seen, order, error), of, baseline)
    noted = [one.noted(warning) for one in comparisons]
    return comparison_table(adjusted(noted, adjust), ["level"])


def level_contrasts(
    fit: Fit, of: str, baseline: object, *, common: bool = False
) -> list[Comparison]:
    """Each level of `of` minus its baseline level; p values are not adjusted yet.

    With `common`, a difference that cells outside the design would be needed for is taken over the
    combinations of the other factors that the design has with both levels; its note says so.
    """
    _require_factor(fit.seen, of)
    levels = fit.seen.levels[of]
    start = levels[fit.seen.code_of(of, baseline)]
    if len(levels) < 2:
        raise AnalysisError(
            f"Factor '{of}' has one level, {baseline!r}: there is nothing to compare it with.",
            mend="Name a factor with two levels or more.",
        )
    found = [compared(fit, of, level, start) for level in levels if level != start]
    if not common:
        return found
    return [_in_common(fit, one) if math.isnan(one.estimate) else one for one in found]


def _in_common(fit: Fit, one: Comparison) -> Comparison:
    """The comparison over those combinations of the other factors that were planned with both
    levels; as it is where that is all of them, or none."""
    seen = fit.seen
    levels = [seen.code_of(one.factor, level) for level in (one.level, one.baseline)]
    place = seen.factors.index(one.factor)
    others = [
        {cell[:place] + cell[place + 1 :] for cell in seen.planned if cell[place] == level}
        for level in levels
    ]
    both = sorted(others[0] & others[1])
    num_all = math.prod(len(seen.levels[name]) for name in seen.factors if name != one.factor)
    if not both or len(both) == num_all:
        return one
    cells = [
        [
            dict(zip(seen.factors, (*rest[:place], level, *rest[place:]), strict=True))
            for rest in both
        ]
        for level in levels
    ]
    upper, lower = (np.mean([fit.cell_weights(cell) for cell in some], axis=0) for some in cells)
    estimate = fit.estimate(upper - lower)
    return replace(one, **vars(estimate)).noted(
        f"over {len(both)} of {num_all} combinations of the other factors: the design has both "
        "levels in these only"
    )


def compared(
    fit: Fit,
    of: str,
    level: Level,
    baseline: Level,
    at: Mapping[str, Level] = Cell(),
    less_at: Mapping[str, Level] = Cell(),
) -> Comparison:
    """`level` minus `baseline` of a factor `at` levels of others, less the same at `less_at`."""

    def effect(where: Mapping[str, Level]) -> Floats:
        codes = {name: fit.seen.code_of(name, held) for name, held in where.items()}
        upper, lower = (fit.seen.code_of(of, one) for one in (level, baseline))
        return fit.cell_weights({of: upper, **codes}) - fit.cell_weights({of: lower, **codes})

    weights = effect(at) - effect(less_at) if less_at else effect(at)
    estimate = vars(fit.estimate(weights))
    return Comparison(**estimate, factor=of, level=level, baseline=baseline, at=at, less_at=less_at)


def interaction_contrast(
    trials: pd.DataFrame,
    response: str,
    a: str,
    b: str,
    *,
    block: str | None = None,
    factors: Sequence[str] | None = None,
    error: str = "pooled",
) -> pd.DataFrame:
    """How much the effect of `a` changes with `b`, and the simple effects of `a` at each `b`.

    For every level a' of `a` and b' of `b` beside the first ones (a0, b0):
    kind "interaction" is (a' - a0 at b') - (a' - a0 at b0), kind "simple" is a' - a0 at one b.
    Columns kind, a_level, b_level, difference, se, df, t, p, p_adjusted, ci_low, ci_high, note;
    interactions come first. p_adjusted is Holm's, over the interactions and over the simple
    effects. `factors` are all factors of the model; by default those columns of the table that
    varied across `a` and `b` (see `crossed`). Their levels count equally and their effects stay out
    of the error; attrs["averaged_over"] names them. Raises AnalysisError when a factor has one
    level.
    """
    if factors is not None:
        several_names(factors, "factors")
    observe(trials, response, (a, b), block)  # faults of the columns named come first
    others = other_factors(trials, response, (a, b), block) if factors is None else factors
    seen = observe(trials, response, tuple(dict.fromkeys((a, b, *others))), block)
    interactions, simple_effects = crossed_contrasts(seen, a, b, error)
    table = comparison_table([*interactions, *simple_effects], ["kind", "a_level", "b_level"])
    table.attrs.update(a=a, b=b, a_baseline=seen.levels[a][0], b_baseline=seen.levels[b][0])
    table.attrs["averaged_over"] = [name for name in seen.factors if name not in (a, b)]
    return table


def crossed_contrasts(
    seen: Observations, a: str, b: str, error: str = "pooled"
) -> tuple[list[Comparison], list[Comparison]]:
    """The interactions of two factors, and the simple effects of `a`; each is a family (Holm)."""
    for name in (a, b):
        if len(seen.levels[name]) < 2:
            raise AnalysisError(
                f"Factor '{name}' has one level, {seen.levels[name][0]!r}: it cannot interact.",
                mend="Name two factors with two levels or more.",
            )
    fit = Fit(replace(seen, factors=tuple(dict.fromkeys((a, b, *seen.factors)))), 2, error)
    (a_first, *others), b_levels = seen.levels[a], seen.levels[b]
    interactions = [
        compared(fit, a, level, a_first, {b: at}, {b: b_levels[0]})
        for level in others
        for at in b_levels[1:]
    ]
    simple = [compared(fit, a, level, a_first, {b: at}) for level in others for at in b_levels]
    return adjusted(interactions, "holm"), adjusted(simple, "holm")


def _seeds_in_error(trials: pd.DataFrame, seen: Observations) -> str:
    """A warning where seeds' shifts are in the error: a block would remove them.

    That is so where the trials of one seed are in several cells, and nothing is the block.
    """
    done = trials.iloc[seen.rows]
    if seen.block is not None or "seed" not in done.columns or done["seed"].isna().any():
        return ""
    cells = pd.Series(seen.cell_numbers).groupby(done["seed"].to_numpy()).nunique()
    if len(cells) < 2 or cells.max() < 2:
        return ""
    return 'the seeds\' shifts are in the error: block="seed" takes them out'


def _require_factor(seen: Observations, name: str) -> None:
    if name not in seen.factors:
        raise AnalysisError(
            f"'{name}' is not among the factors of the model.", mend=nearest(name, seen.factors)
        )
