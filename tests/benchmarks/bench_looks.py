"""Seeds added until a claim is decided: how often that errs, and how many seeds it spares.

Studies of 2 x 3 cells are looked at after 3 seeds and after each further one. Their intervals are
the anytime-valid ones (`analyze/stats/anytime.py`), the prior fixed for the most seeds; a study
stops when the interval of one factor's effect leaves 0, or at the most.

Errors: the share of studies without an effect that ever claim one, over all looks together, with a
pooled error, with a variance for each cell of which one is four times as wide, and with one value
per seed. Beside it the t interval of one look, as if nobody had looked before.

Seeds: a fixed number is planned to see the smallest effect of interest, d, in 80 % of the studies.
The sequential study is given as many seeds at most as it takes to see d as often. Both have that
power; what the sequential one spends depends on how large effects are. `at d` is the worst case,
where a guarantee at every look costs more than it spares; `drawn` has effects that are normal with
a standard deviation of 2 d, of which two in five are smaller than d, and `drawn wide` of 4 d. There
the fixed number is the one that finds as many of them.

    python tests/benchmarks/bench_looks.py [--studies 1000]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import simulated_studies as simulated
from scipy import stats
from table import Row, run

from seedbed.analyze.stats.anytime import half_width, prior_seeds

TOY = ("--studies", "50")
NEEDS = ()
FIRST, MOST = 3, 10
NUM_CELLS = 6
POWER = 0.8
MOST_EVER = 120  # seeds that a search for equal power may reach


def paths(num: int, effect: np.ndarray, num_seeds: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """t statistics [num, seeds] of one contrast after each seed, and their df [seeds].

    Within a seed, six cells without their mean are five independent values: the contrast's own and
    four others, whose means are estimated, too. Its unit is its standard deviation.
    """
    values = np.random.default_rng(seed).normal(size=(num, num_seeds, NUM_CELLS - 1))
    values[:, :, 0] += effect[:, None]
    n = np.arange(1, num_seeds + 1)
    means = values.cumsum(axis=1) / n[:, None]
    rest = ((values**2).cumsum(axis=1) - n[:, None] * means**2).sum(axis=2)
    df = (NUM_CELLS - 1) * (n - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return means[:, :, 0] / np.sqrt(rest / df / n), df


def looked_at(t: np.ndarray, df: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether each study finds an effect at some look, and the seeds that it spends."""
    n = np.arange(FIRST, most + 1)
    own = df[FIRST - 1 : most]
    beyond = np.abs(t[:, FIRST - 1 : most]) > half_width(own, n, prior_seeds(most, own[-1]))
    found = beyond.any(axis=1)
    return found, np.where(found, FIRST + beyond.argmax(axis=1), most)


def fixed(t: np.ndarray, df: np.ndarray, power: float) -> int:
    """The fewest seeds with which a single t test finds that share of effects."""
    for num_seeds in range(2, t.shape[1] + 1):
        limit = stats.t.ppf(0.975, df[num_seeds - 1])
        if np.mean(np.abs(t[:, num_seeds - 1]) > limit) >= power:
            return num_seeds
    raise ValueError(f"{t.shape[1]} seeds do not reach a power of {power}")


def ever_missed(num: int, rule: str, wide: float) -> tuple[float, float]:
    """Shares of studies whose interval misses at any look: the anytime-valid one, and the t's."""
    studies = simulated.Studies(num, MOST, wide=wide, lost=0.0, seed=7)
    prior = prior_seeds(MOST, (NUM_CELLS - 1) * (MOST - 1))
    missed, naive = np.zeros(num, bool), np.zeros(num, bool)
    for num_seeds in range(FIRST, MOST + 1):
        seen = studies.first(num_seeds)
        loadings = seen.loadings(simulated.EFFECTS["A"])
        variance, df = getattr(simulated, rule)(seen, loadings)
        off = (loadings * seen.y).sum(axis=1) - simulated.TRUTH["A"]
        t = np.abs(off) / np.sqrt(variance)
        missed |= t > half_width(df, num_seeds, prior)
        naive |= t > stats.t.ppf(0.975, df)
    return float(missed.mean()), float(naive.mean())


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=1000)
    num = parser.parse_args(arguments).studies
    errors = []
    print("error                 missed at any look   by t intervals")
    for rule, wide in (("pooled", 1.0), ("cells", 1.0), ("cells", 4.0), ("by_seed", 4.0)):
        missed, naive = ever_missed(num, rule, wide)
        errors.append(missed)
        print(f"{rule:<8} widest {wide:g}  {100 * missed:>14.1f} %  {100 * naive:>14.1f} %")
    smallest = 0.5
    t, df = paths(num, np.full(num, smallest), MOST_EVER, seed=1)
    planned = fixed(t, df, POWER)
    most = next(n for n in range(FIRST, MOST_EVER) if looked_at(t, df, n)[0].mean() >= POWER)
    print(f"a fixed {planned} seeds, or {most} at most, see {smallest:g} SD in 80 % of studies")
    print("effect      fixed  sequential  ratio  found")
    ratios = {}
    for name, effects in {
        "at d": np.full(num, smallest),
        "at 2 d": np.full(num, 2 * smallest),
        "drawn": np.random.default_rng(3).normal(0, 2 * smallest, num),
        "drawn wide": np.random.default_rng(3).normal(0, 4 * smallest, num),
        "none": np.zeros(num),
    }.items():
        t, df = paths(num, effects, MOST_EVER, seed=2)
        found, spent = looked_at(t, df, most)
        same = fixed(t, df, float(found.mean())) if name.startswith("drawn") else planned
        ratios[name] = float(spent.mean()) / same
        print(f"{name:<11}{same:>5}{spent.mean():>12.1f}{ratios[name]:>7.2f}{found.mean():>7.2f}")
    same_power = "a fixed number of the same power"
    return [
        Row("misses at any look, the most of four errors", 100 * max(errors), "", 5, unit="%"),
        Row("seeds spent, effects drawn", ratios["drawn"], same_power, 0.7),
        Row("seeds spent, effects drawn wide", ratios["drawn wide"], same_power),
        Row("seeds spent, all effects twice the smallest", ratios["at 2 d"], "the planned number"),
        Row("seeds spent, all effects the smallest", ratios["at d"], "the planned number"),
    ]


if __name__ == "__main__":
    run(main, TOY)
