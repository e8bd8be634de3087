"""Many small studies at once with effects that are known, and the rules that give them intervals.

Two factors (2 x 3 levels) crossed with seeds that shift all of their trials, one cell wider than
the others, trials lost at random. A rule gives each effect of each study a variance and degrees of
freedom. Written by the dense formulas, for all studies together, with the rules that were tried and
not taken; tests/analyze/stats/test_intervals.py holds the package's own code against it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

Floats = NDArray[np.float64]
Spread = tuple[Floats, Floats]  # variance and degrees of freedom of each study; NaN: no interval

CELLS = list(itertools.product(range(2), range(3)))
_MEANS = np.array([0.5 * a + (0.3 + 0.2 * a) * (b == 2) for a, b in CELLS])
_PLACE = {cell: place for place, cell in enumerate(CELLS)}


def cell_weights(**fixed: int) -> Floats:
    """The mean over all cells at the fixed levels, as weights of the cells [6]."""
    known = [{"A": a, "B": b} for a, b in CELLS]
    own = np.array([all(cell[name] == code for name, code in fixed.items()) for cell in known])
    return own / own.sum()


_SIMPLE = cell_weights(A=1, B=2) - cell_weights(A=0, B=2)
EFFECTS = {
    "A": cell_weights(A=1) - cell_weights(A=0),
    "B": cell_weights(B=2) - cell_weights(B=0),
    "A:B": _SIMPLE - (cell_weights(A=1, B=0) - cell_weights(A=0, B=0)),
    "A at one B": _SIMPLE,
}
MEANS = {"mean at one A": cell_weights(A=1), "mean of one cell": cell_weights(A=1, B=2)}
TRUTH = {name: float(weights @ _MEANS) for name, weights in (EFFECTS | MEANS).items()}


class Studies:
    """`num` studies; those that lost so much that a cell or a seed is gone are left out.

    `wide` is the standard deviation of the last cell (all others 1), `spread` that of the seeds.
    """

    def __init__(
        self, num: int, num_seeds: int, *, wide: float = 1.0, spread: float = 1.0,
        lost: float = 0.1, seed: int = 0,
    ) -> None:  # fmt: skip
        random = np.random.default_rng(seed)
        self.num_seeds = num_seeds
        self.cells = np.repeat(np.arange(len(CELLS)), num_seeds)
        self.seeds = np.tile(np.arange(num_seeds), len(CELLS))
        sd = np.where(np.arange(len(CELLS)) == len(CELLS) - 1, wide, 1.0)
        shifts = random.normal(0, spread, (num, num_seeds))
        noise = random.normal(size=(num, len(self.cells))) * sd[self.cells]
        y = _MEANS[self.cells] + shifts[:, self.seeds] + noise
        self._fit(y, random.random(y.shape) >= lost)

    def first(self, num_seeds: int) -> Studies:
        """The same studies when `num_seeds` of their seeds had run."""
        own = self.seeds < num_seeds
        found = object.__new__(Studies)
        found.num_seeds, found.cells, found.seeds = num_seeds, self.cells[own], self.seeds[own]
        found._fit(self.y[:, own], self.kept[:, own])
        return found

    def _fit(self, y: Floats, kept: NDArray[np.bool_]) -> None:
        num_seeds = self.num_seeds
        self.of_cell, self.of_seed = np.eye(len(CELLS))[self.cells], np.eye(num_seeds)[self.seeds]
        centred = self.of_seed[:, :-1] - self.of_seed[:, -1:]
        design = np.hstack([self.of_cell, centred])[None] * kept[:, :, None]
        squares = design.transpose(0, 2, 1) @ design
        known = np.linalg.eigvalsh(squares)[:, 0] > 1e-9
        self.y, self.kept, design = (y * kept)[known], kept[known], design[known]
        inverse = np.linalg.inv(squares[known])
        self._parameters = inverse @ design.transpose(0, 2, 1)  # [studies, parameters, trials]
        hat = design @ self._parameters
        self.rest = np.eye(len(self.cells)) * self.kept[:, :, None] - hat
        self.residuals = np.einsum("sij,sj->si", self.rest, self.y)
        self.df = self.kept.sum(axis=1) - design.shape[2]
        self.mean_sq = (self.residuals**2).sum(axis=1) / self.df

    def loadings(self, weights: Floats) -> Floats:
        """What each trial counts [studies, trials] in a function of the cells' means [6]."""
        found: Floats = np.einsum("c,sci->si", weights, self._parameters[:, : len(CELLS)])
        return found

    def table(self, study: int) -> pd.DataFrame:
        """One of the studies as the package takes it."""
        levels = np.array(CELLS)[self.cells]
        status = np.where(self.kept[study], "completed", "failed")
        return pd.DataFrame(
            {"A": levels[:, 0], "B": levels[:, 1], "seed": self.seeds, "status": status,
             "y": self.y[study]}
        )  # fmt: skip

    def by_cell(self, values: Floats) -> Floats:
        return values @ self.of_cell

    @cached_property
    def squares(self) -> Floats:
        return self._pairs(self.rest**2)

    def _pairs(self, matrix: Floats) -> Floats:
        """Sums over pairs of cells [studies, 6, 6] of [studies, trials, trials]."""
        found: Floats = self.of_cell.T @ matrix @ self.of_cell
        return found

    @cached_property
    def inverse(self) -> Floats:
        found: Floats = np.linalg.pinv(self.squares, rcond=1e-8, hermitian=True)
        return found

    @cached_property
    def unbiased(self) -> Floats:
        """Each cell's variance [studies, 6]; may be negative, 0 where nothing tells."""
        found: Floats = np.einsum("scd,sd->sc", self.inverse, self.by_cell(self.residuals**2))
        return found

    @cached_property
    def variances(self) -> Floats:
        least = 1e-9 * self.unbiased.max(axis=1, keepdims=True)
        return np.where(self.unbiased > np.maximum(least, 0.0), self.unbiased, 0.0)

    @cached_property
    def spread_squares(self) -> Floats:
        own = self.variances @ self.of_cell.T
        return self._pairs((self.rest * own[:, None, :] @ self.rest) ** 2)

    def to_widest(self, weights: Floats) -> Floats:
        """Weights on the cells' variances, those of cells that say nothing laid on the widest."""
        silent = np.einsum("scc->sc", self.squares) < 1e-9
        found = np.where(silent, 0.0, weights)
        widest = np.argmax(np.where(silent, -np.inf, self.unbiased), axis=1)
        found[np.arange(len(found)), widest] += np.where(silent, weights, 0.0).sum(axis=1)
        return found

    @cached_property
    def within(self) -> Floats:
        """The residual projection of the cells alone, without the seeds."""
        own = self.of_cell * self.kept[:, :, None]
        same = own / own.sum(axis=1, keepdims=True) @ own.transpose(0, 2, 1)
        found: Floats = np.eye(len(self.cells)) * self.kept[:, :, None] - same
        return found


def pooled(studies: Studies, loadings: Floats) -> Spread:
    """One residual variance for all trials."""
    return studies.mean_sq * (loadings**2).sum(axis=1), studies.df.astype(float)


def by_seed(studies: Studies, loadings: Floats) -> Spread:
    """One value per seed: CR2 with the degrees of freedom of Bell and McCaffrey."""
    return _by_seed(studies, studies.rest, loadings, studies.residuals)


def _by_seed(studies: Studies, rest: Floats, loadings: Floats, residuals: Floats) -> Spread:
    pulls = np.zeros_like(loadings)
    for seed in range(studies.num_seeds):
        rows = np.flatnonzero(studies.seeds == seed)
        sizes, vectors = np.linalg.eigh(rest[:, rows][:, :, rows])
        root = np.where(sizes > 1e-8, 1 / np.sqrt(np.maximum(sizes, 1e-300)), 0.0)
        along = np.einsum("sij,si->sj", vectors, loadings[:, rows])
        pulls[:, rows] = np.einsum("sij,sj->si", vectors, root * along)
    steps = (pulls * residuals) @ studies.of_seed
    lengths = np.sqrt((pulls**2) @ studies.of_seed)
    held = lengths > 1e-9 * np.linalg.norm(loadings, axis=1)[:, None]
    turned = rest @ (pulls[:, :, None] * studies.of_seed * held[:, None, :])
    overlap = turned.transpose(0, 2, 1) @ turned
    known = held.sum(axis=1) >= 3
    squares = np.where(known, (overlap**2).sum(axis=(1, 2)), 1.0)
    df = np.trace(overlap, axis1=1, axis2=2) ** 2 / squares
    return np.where(known, (steps**2).sum(axis=1), np.nan), np.where(known, df, np.nan)


def cells(studies: Studies, loadings: Floats) -> Spread:
    """A variance of each cell's own; the rule of the report."""
    weights = studies.to_widest(studies.by_cell(loadings**2))
    counts = np.einsum("scd,sd->sc", studies.inverse, weights)
    missed = np.abs(np.einsum("scd,sd->sc", studies.squares, counts) - weights).max(axis=1)
    variance = (weights * studies.variances).sum(axis=1)
    half_spread = np.einsum("sc,scd,sd->s", counts, studies.spread_squares, counts)
    usable = (missed <= 1e-6 * weights.max(axis=1)) & (variance > 0)
    other, least = by_seed(studies, loadings)
    df = np.fmax(variance**2 / np.where(usable, half_spread, 1.0), np.nan_to_num(least, nan=1.0))
    return np.where(usable, variance, other), np.where(usable, df, least)


def welch(studies: Studies, loadings: Floats) -> Spread:
    """Each trial's own squared residual (HC2), Welch's degrees of freedom, the seeds fixed."""
    left = np.where(studies.kept, np.einsum("sii->si", studies.rest), 1.0)
    shares = np.where(studies.kept, loadings**2 / np.maximum(left, 1e-8), 0.0)
    found = studies.by_cell(studies.residuals**2)
    own = (found / np.maximum(studies.by_cell(left * studies.kept), 1e-8)) @ studies.of_cell.T
    inner = studies.rest * own[:, None, :] @ studies.rest
    first = np.einsum("si,sii->s", shares, inner)
    second = np.einsum("si,sij,sj,sji->s", shares, inner, shares, inner, optimize=True)
    variance = (shares * studies.residuals**2).sum(axis=1)
    known = second > 0
    return np.where(known, variance, np.nan), first**2 / np.where(known, second, 1.0)


def moderated(studies: Studies, loadings: Floats) -> Spread:
    """Cells' variances drawn together by a prior that they themselves give (Smyth 2004)."""
    left = np.einsum("sii->si", studies.rest) * studies.kept
    df = np.maximum(studies.by_cell(left), 0.3)
    own = np.maximum(studies.by_cell(studies.residuals**2) / df, 1e-12)
    logs = np.log(own) - special.digamma(df / 2) + np.log(df / 2)
    centre = logs.mean(axis=1, keepdims=True)
    extra = ((logs - centre) ** 2).sum(axis=1) / (len(CELLS) - 1)
    extra -= special.polygamma(1, df / 2).mean(axis=1)
    prior_df = np.where(extra > 0, 2 * _trigamma_inverse(np.maximum(extra, 1e-8)), 1e8)[:, None]
    prior = np.exp(centre + special.digamma(prior_df / 2) - np.log(prior_df / 2))
    found = (prior_df * prior + df * own) / (prior_df + df)
    parts = studies.by_cell(loadings**2) * found
    variance = parts.sum(axis=1)
    together = variance**2 / (parts**2 / (prior_df + df)).sum(axis=1)
    return variance, np.minimum(together, studies.df)


def _trigamma_inverse(values: Floats) -> Floats:
    """Newton's method on 1 / trigamma, as in limma."""
    found = 0.5 + 1 / values
    for _ in range(50):
        now = special.polygamma(1, found)
        found = found + now * (1 - now / values) / special.polygamma(2, found)
    return found


def random_seeds(studies: Studies, loadings: Floats, error: str = "cells") -> Spread:
    """Of a mean: the seeds' variance by Henderson's third method, the trials' as `error` says."""
    added = studies.within - studies.rest  # the projection on what the seeds add to the cells
    between = studies.of_seed @ studies.of_seed.T
    size = np.einsum("sij,ji->s", added, between)
    share = ((loadings @ studies.of_seed) ** 2).sum(axis=1) / size
    sum_sq = np.einsum("si,sij,sj->s", studies.y, added, studies.y)
    if error == "pooled":
        own = np.broadcast_to(studies.mean_sq[:, None], studies.y.shape)
        least = (loadings**2).sum(axis=1) * studies.mean_sq
        noise = least - share * (studies.num_seeds - 1) * studies.mean_sq
        spread = noise**2 / studies.df
    else:
        own = studies.variances @ studies.of_cell.T
        whole = studies.to_widest(studies.by_cell(loadings**2))
        part = studies.to_widest(studies.by_cell(np.einsum("sii->si", added)))
        counts = np.einsum("scd,sd->sc", studies.inverse, whole - share[:, None] * part)
        least = (whole * studies.variances).sum(axis=1)
        noise = least - share * (part * studies.variances).sum(axis=1)
        mixed = ((studies.rest * own[:, None, :] @ added) ** 2).sum(axis=2)
        spread = np.einsum("sc,scd,sd->s", counts, studies.spread_squares, counts)
        spread += 2 * share * (counts * studies.by_cell(mixed)).sum(axis=1)
    seeds = (sum_sq - np.einsum("sii,si->s", added, own)) / size
    inner = seeds[:, None, None] * between + np.eye(len(studies.cells)) * own[:, None, :]
    sizes = np.maximum(np.linalg.eigvals(added @ inner).real, 0.0)
    spread = spread + share**2 * (sizes**2).sum(axis=1)
    variance = np.maximum(share * sum_sq + noise, least)
    usable = (variance > 0) & (spread > 0)
    other, df_other = mean_by_seed(studies, loadings)
    df = variance**2 / np.where(usable, spread, 1.0)
    if error == "cells":
        df = np.fmax(df, np.nan_to_num(df_other, nan=1.0))
    return np.where(usable, variance, other), np.where(usable, df, df_other)


def mean_by_seed(studies: Studies, loadings: Floats) -> Spread:
    """Of a mean: one value per seed, in the model of the cells alone."""
    left = np.einsum("sij,sj->si", studies.within, loadings)
    alone = np.einsum("sij,sj->si", studies.within, studies.y)
    return _by_seed(studies, studies.within, loadings - left, alone)


def coverage(studies: Studies, effect: str, rule: Callable[[Studies, Floats], Spread]) -> Floats:
    """Share of intervals that hold the truth, median half-width, number without an interval."""
    loadings = studies.loadings((EFFECTS | MEANS)[effect])
    variance, df = rule(studies, loadings)
    off = np.abs((loadings * studies.y).sum(axis=1) - TRUTH[effect])
    with np.errstate(invalid="ignore"):
        half = stats.t.ppf(0.975, df) * np.sqrt(variance)
    known = np.isfinite(half)
    return np.array([np.mean(off[known] <= half[known]), np.median(half[known]), (~known).sum()])
