"""Seeds added until a claim is decided: how often that errs, and how many seeds it spares.

Studies of 2 x 3 cells are looked at after 3 seeds and after each further one, by each of the rules
that a study may declare: anytime-valid intervals (for effects of one size, and of every size:
"savi"), and planned looks that spend alpha like Pocock or like O'Brien and Fleming. A study stops
when the interval of one factor's effect leaves 0, when the chance that the most seeds would decide
it has fallen under what Looks says, or at the most.

Errors: the share of studies without an effect whose interval leaves 0 at any look, were there none
that stops for want of a chance; with a pooled error, with a variance for each cell of which one is
four times as wide, and with one value per seed. Beside it the t interval of one look: at every look
("t"), and at the last alone ("t, once"), which is what the error itself misses by.

Seeds: a fixed number is planned to see the smallest effect of interest, d, in 80 % of the studies.
A sequential study is given as many seeds at most as it takes to see d as often. Both have that
power; what the sequential one spends depends on how large effects are: none, half of d, d, twice d;
`none or d` is the mean of two studies, of which one has the effect that it was planned for.

Four times as many studies are drawn as are asked for: of 1,000, 0.7 points of errors are luck, and
so are 0.03 of the seeds spent, since both numbers of seeds are found by these studies.

    python tests/benchmarks/bench_looks.py [--studies 1000]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import simulated_studies as simulated
from scipy import stats
from table import Row, run

from seedbed.analyze.stats.looked import Looked
from seedbed.study.looks import METHODS, SAVI, Looks

TOY = ("--studies", "60")
NEEDS = ()
FIRST, MOST = 3, 10
NUM_CELLS = 6
POWER = 0.8
MOST_EVER = 40  # seeds that a search for equal power may reach
BY_T = ("t", "t, once")
SMALLEST = 1.0  # d, in standard deviations of one seed's contrast


def paths(num: int, effect: float, num_seeds: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """t statistics [num, seeds] of one contrast after each seed, and their df [seeds].

    Within a seed, six cells without their mean are five independent values: the contrast's own and
    four others, whose means are estimated, too. Its unit is its standard deviation.
    """
    values = np.random.default_rng(seed).normal(size=(num, num_seeds, NUM_CELLS - 1))
    values[:, :, 0] += effect
    n = np.arange(1, num_seeds + 1)
    means = values.cumsum(axis=1) / n[:, None]
    rest = ((values**2).cumsum(axis=1) - n[:, None] * means**2).sum(axis=2)
    df = (NUM_CELLS - 1) * (n - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return means[:, :, 0] / np.sqrt(rest / df / n), df


def limits(looks: Looks, df: np.ndarray) -> np.ndarray:
    """Half of the interval at each look, in standard errors."""
    own = [Looked(looks, NUM_CELLS, num) for num in looks.counts]
    return np.array([one.half_width(df[one.num_seeds - 1]) for one in own])


def looked_at(t: np.ndarray, df: np.ndarray, looks: Looks) -> tuple[np.ndarray, np.ndarray]:
    """Whether each study has found an effect when it stops, and the seeds that it spends.

    The chance is that of `Looked.chance` for a claim about 0, for all studies at once.
    """
    n, limit = np.array(looks.counts), limits(looks, df)
    t, own, share = t[:, n - 1], df[n - 1], n / looks.most
    beyond = np.abs(t) > limit
    with np.errstate(divide="ignore", invalid="ignore"):
        short = [(side * t - limit[-1] * np.sqrt(share)) / np.sqrt(1 - share) for side in (1, -1)]
        chance = sum(stats.t.cdf(one, own) for one in short)
    stops = beyond | (chance < looks.least_chance)
    stops[:, -1] = True
    at = stops.argmax(axis=1)
    return beyond[np.arange(len(t)), at], n[at]


def fixed(t: np.ndarray, df: np.ndarray, power: float) -> int:
    """The fewest seeds with which a single t test finds that share of effects."""
    for num_seeds in range(2, t.shape[1] + 1):
        limit = stats.t.ppf(0.975, df[num_seeds - 1])
        if np.mean(np.abs(t[:, num_seeds - 1]) > limit) >= power:
            return num_seeds
    raise ValueError(f"{t.shape[1]} seeds do not reach a power of {power}")


def missed_by(num: int) -> dict[str, list[float]]:
    """Shares of studies whose interval misses at any look, by rule ("t" for that of one look, "t,
    once" where it is the last), with each of four errors."""
    found: dict[str, list[float]] = {name: [] for name in (*METHODS, *BY_T)}
    for rule, wide in (("pooled", 1.0), ("cells", 1.0), ("cells", 4.0), ("by_seed", 4.0)):
        studies = simulated.Studies(num, MOST, wide=wide, lost=0.0, seed=7)
        missed = {name: np.zeros(num, bool) for name in found}
        for num_seeds in range(FIRST, MOST + 1):
            seen = studies.first(num_seeds)
            loadings = seen.loadings(simulated.EFFECTS["A"])
            variance, df = getattr(simulated, rule)(seen, loadings)
            off = (loadings * seen.y).sum(axis=1) - simulated.TRUTH["A"]
            t = np.abs(off) / np.sqrt(variance)
            missed["t"] |= t > stats.t.ppf(0.975, df)
            missed["t, once"] = t > stats.t.ppf(0.975, df)
            for name in METHODS:
                looked = Looked(Looks(FIRST, 1, MOST, method=name), NUM_CELLS, num_seeds)
                missed[name] |= t > looked.half_widths(df)
        shares = {name: float(ones.mean()) for name, ones in missed.items()}
        told = "".join(f"{100 * shares[name]:>14.1f} %" for name in found)
        print(f"{rule:<8} widest {wide:g} {told}")
        for name, share in shares.items():
            found[name].append(share)
    return found


def spent(num: int, method: str) -> dict[str, float]:
    """Seeds as a share of the fixed number of the same power, by the size of the effect."""
    t, df = paths(num, SMALLEST, MOST_EVER, seed=1)
    planned = fixed(t, df, POWER)
    for most in range(planned, MOST_EVER):
        looks = Looks(FIRST, 1, most, method=method)
        if looked_at(t, df, looks)[0].mean() >= POWER:
            break
    ratios, found = {}, {}
    for name, times in (("none", 0.0), ("d / 2", 0.5), ("d", 1.0), ("2 d", 2.0)):
        t, df = paths(num, times * SMALLEST, MOST_EVER, seed=2)
        finds, seeds = looked_at(t, df, looks)
        ratios[name], found[name] = float(seeds.mean()) / planned, float(finds.mean())
    told = "".join(f"{ratios[name]:>6.2f} ({100 * found[name]:3.0f} %)" for name in ratios)
    print(f"{method:<16}{planned:>5}{looks.most:>6} {told}")
    return ratios | {"none or d": (ratios["none"] + ratios["d"]) / 2}


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=1000)
    num = 4 * parser.parse_args(arguments).studies
    print(f"misses at any look  {''.join(f'{name:>16}' for name in (*METHODS, *BY_T))}")
    missed = missed_by(num)
    print("rule            fixed  most  seeds / fixed (effects found): none, d / 2, d, 2 d")
    rows = []
    for method in METHODS:
        ratios = spent(num, method)
        own, same = f"{method}: ", "a fixed number of the same power"
        pooled, most = 100 * missed[method][0], 100 * max(missed[method])
        rows.append(Row(f"{own}misses at any look, pooled error", pooled, "", 5, unit="%"))
        rows.append(Row(f"{own}misses, the most of 4 errors", most, "", 5, unit="%"))
        goal = None if method == SAVI else 0.7  # the reference that others are held against
        rows.append(Row(f"{own}seeds spent, no effect or d", ratios["none or d"], same, goal))
        rows += [Row(f"{own}seeds spent, {name}", ratios[name], same) for name in ("none", "d")]
        rows.append(Row(f"{own}seeds spent, 2 d", ratios["2 d"], "the planned number"))
    return rows


if __name__ == "__main__":
    run(main, TOY)
