"""Power by simulation: studies are drawn from a response surface, and analysed as the report would.

A draw is a table of a study's trials with the surface's effects, shifts of the seeds and noise, of
which some trials may be lost. The model, the error and the rules of verdicts are the report's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from seedbed.analyze.stats.chosen_error import BLOCK, FEWEST_SEEDS, block_of
from seedbed.analyze.stats.fit import Fit
from seedbed.analyze.stats.halves import num_seeds_of
from seedbed.analyze.stats.looked import Looked
from seedbed.analyze.stats.margins import lies, lies_outside
from seedbed.analyze.trials.observations import Floats, Observations, observe
from seedbed.analyze.trials.table import HALF, half_label
from seedbed.plan.design import Design
from seedbed.plan.surface import Surface
from seedbed.study.claim import Claim
from seedbed.study.contrast import Contrast
from seedbed.study.label import Label, label_text

Weights = Callable[[Fit], Floats]
ALPHA = 0.05


@dataclass(frozen=True)
class Target:
    """A comparison whose estimates are drawn: its weights in a fit of the model of `order`."""

    order: int
    weights: Weights


@dataclass(frozen=True)
class Drawn:
    """Estimates, standard errors and degrees of freedom of comparisons [num_draws, num_asked]; NaN
    where a draw has none. With `looked` intervals are those of that look."""

    estimates: Floats
    errors: Floats
    dfs: Floats
    looked: Looked | None = None

    def intervals(self, number: int, level: float) -> tuple[Floats, Floats]:
        """Of comparison `number`, its intervals of confidence `level` [num_draws]."""
        df = self.dfs[:, number]
        if self.looked is None:
            width = stats.t.ppf((1 + level) / 2, df)
        else:
            width = self.looked.half_widths(df, level)
        half = width * self.errors[:, number]
        return self.estimates[:, number] - half, self.estimates[:, number] + half

    def found(self, number: int) -> float:
        """The share of draws whose 95 % interval leaves out 0; a draw without one has not found it.

        NaN where no draw has one, as with one seed.
        """
        low, high = self.intervals(number, 1 - ALPHA)
        if np.isnan(low).all():
            return float("nan")
        return float(np.mean((low > 0) | (high < 0)))


def main_effect(of: str, level: Label, baseline: Label, order: int) -> Target:
    """A level against its baseline, the other factors' levels counting equally."""
    return Target(order, lambda fit: _difference(fit, of, level, baseline, {}))


def interaction(a: str, levels: tuple[Label, Label], b: str, others: tuple[Label, Label]) -> Target:
    """How much a difference of `a` at the first of `others` differs from that at the second."""
    at, less_at = ({b: other} for other in others)
    return Target(
        2,
        lambda fit: _difference(fit, a, *levels, at) - _difference(fit, a, *levels, less_at),
    )


def claimed(one: Contrast) -> Target:
    """A claim's contrast, in the model that holds as many crossed factors as it names."""

    def weights(fit: Fit) -> Floats:
        found = _difference(fit, one.of, one.level, one.over, one.at)
        if one.less_at:
            found = found - _difference(fit, one.of, one.level, one.over, one.less_at)
        return found

    return Target(max(2, 1 + len(one.at)), weights)


def _difference(
    fit: Fit, of: str, level: Label, baseline: Label, at: Mapping[str, Label]
) -> Floats:
    codes = {name: fit.seen.code_of(name, held) for name, held in at.items()}
    upper, lower = (fit.seen.code_of(of, one) for one in (level, baseline))
    return fit.cell_weights({**codes, of: upper}) - fit.cell_weights({**codes, of: lower})


def draw(
    design: Design,
    surface: Surface,
    asked: Sequence[Target],
    *,
    draws: int,
    lost: float = 0.0,
    seed_is_unit: bool = False,
    is_share: bool = False,
) -> Drawn:
    """The comparisons that are asked for, in studies of `design` on `surface` (see `tables`)."""
    shape = draws, len(asked)
    values, errors, dfs = (np.full(shape, np.nan) for _ in range(3))
    drawn = Drawn(values, errors, dfs, _at_most(design))
    known: dict[tuple[int, int], Floats] = {}
    several = tables(design, surface, draws=draws, lost=lost, is_share=is_share)
    for number, seen in enumerate(several):
        if seen is not None:
            _analyse(drawn, number, seen, asked, design.error.kind, seed_is_unit, known)
    return drawn


def _at_most(design: Design) -> Looked | None:
    """The last look of a study that declares looks: no draw stops before it."""
    looks, cells = design.sequential, {trial.cell for trial in design.trials}
    return None if looks is None else Looked(looks, len(cells), looks.most)


def tables(
    design: Design, surface: Surface, *, draws: int, lost: float = 0.0, is_share: bool = False
) -> Iterator[Observations | None]:
    """Studies of `design`, each trial of which is lost with probability `lost`; None where all are.

    Levels are texts, each factor's baseline the first.
    """
    rng = np.random.default_rng([surface.random_state, draws, round(1e6 * lost)])
    whole = _observations(design)
    cells = {cell: n for n, cell in enumerate(dict.fromkeys(t.cell for t in design.trials))}
    of_cell = np.array([cells[trial.cell] for trial in design.trials])
    means = np.array([surface.value(cell) for cell in cells])[of_cell]
    spreads = np.array([surface.spread(cell) for cell in cells])[of_cell]
    seeds = np.unique([trial.seed for trial in design.trials], return_inverse=True)[1].reshape(-1)
    for _ in range(draws):
        shifts = surface.seed_spread * rng.normal(size=seeds.max() + 1)
        y = means + shifts[seeds] + spreads * rng.normal(size=len(means))
        if is_share:
            y = np.clip(y, 0.0, 1.0)
        kept = rng.uniform(size=len(y)) >= lost
        yield _left(whole, y, kept) if kept.any() else None


def _analyse(
    drawn: Drawn,
    number: int,
    seen: Observations,
    asked: Sequence[Target],
    error: str,
    seed_is_unit: bool,
    known: dict[tuple[int, int], Floats],
) -> None:
    """Fit what is asked, and write it into row `number`. `known` are the weights, which depend on
    the model and on how many blocks are left."""
    blocks = seen.levels[seen.block or BLOCK]
    num_blocks = len(blocks)
    kind = _error(num_seeds_of(blocks), error, seed_is_unit)
    fits: dict[int, Fit] = {}
    for place, one in enumerate(asked):
        if one.order not in fits:
            fits[one.order] = Fit(seen, one.order, kind)
        fit = fits[one.order]
        if (num_blocks, place) not in known:
            known[num_blocks, place] = one.weights(fit)
        value, spread = fit.measured(known[num_blocks, place])
        drawn.estimates[number, place] = value
        if not spread.refusal:
            drawn.errors[number, place], drawn.dfs[number, place] = spread.se, spread.df


def _error(num_seeds: int, stated: str, seed_is_unit: bool) -> str:
    """As `chosen_error` chooses."""
    if num_seeds < FEWEST_SEEDS or stated == "pooled":
        return "pooled"
    return "unequal" if seed_is_unit else "cells"


def _observations(design: Design) -> Observations:
    """All planned trials, with values that stand for none, each baseline the first level."""
    rows = [
        {"key": t.key, "seed": t.seed, HALF: half_label(t), "y": float(n % 7), **_texts(t.cell)}
        for n, t in enumerate(design.trials)
    ]
    table = pd.DataFrame(rows)
    for name, factor in design.factors.items():
        levels = sorted(factor.levels, key=lambda level: level != factor.baseline)
        table[name] = pd.Categorical(table[name], categories=[label_text(one) for one in levels])
    return observe(table, "y", list(design.factors), block_of(design) or BLOCK)


def _texts(cell: Mapping[str, Any]) -> dict[str, str]:
    return {name: label_text(label) for name, label in cell.items()}


def _left(whole: Observations, y: Floats, kept: NDArray[np.bool_]) -> Observations:
    """What is left of a study: the completed trials, and the blocks that have one."""
    block = whole.block or BLOCK
    blocks = whole.codes[block][kept]
    present, renumbered = np.unique(blocks, return_inverse=True)
    codes = {name: own[kept] for name, own in whole.codes.items()} | {
        block: renumbered.astype(np.int64).reshape(-1)
    }
    levels = whole.levels | {block: tuple(whole.levels[block][n] for n in present)}
    cells = np.stack([codes[name] for name in whole.factors], axis=1)
    runs = int(np.unique(cells, axis=0, return_counts=True)[1].max())
    centre = float(y[kept].mean())
    return replace(
        whole,
        codes=codes,
        levels=levels,
        y=y[kept] - centre,
        centre=centre,
        num_seeds=min(runs, num_seeds_of(levels[block])),
        rows=np.flatnonzero(kept),
    )


def verdicts(drawn: Drawn, places: Sequence[int], claim: Claim) -> tuple[float, float]:
    """The shares of draws in which a claim is supported, and refuted; `places` are its contrasts'
    among what was drawn. As `verdicts.judge` does for one study."""
    num_draws = len(drawn.estimates)
    supported, refuted = np.ones(num_draws, dtype=bool), np.zeros(num_draws, dtype=bool)
    for place, one in zip(places, claim.contrasts, strict=True):
        level = 1 - (2 if one.direction == "within" else 1) * claim.alpha
        pairs = zip(*drawn.intervals(place, level), strict=True)
        supported &= np.array([lies(a, b, one.direction, one.margin) for a, b in pairs])
        pairs = zip(*drawn.intervals(place, 1 - claim.alpha / len(claim.contrasts)), strict=True)
        refuted |= np.array([lies_outside(a, b, one.direction, one.margin) for a, b in pairs])
    return float(np.mean(supported & ~refuted)), float(np.mean(refuted))
