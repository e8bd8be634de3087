"""Time of the analysis of 10,000 trials of five factors: `anova` and all contrasts.

Baseline, in the same run: statsmodels' `anova_lm` of the same model on the same table, which gives
the ANOVA only. Both do their whole job, from the table to the numbers; they take turns, and which
is first changes. The two ANOVA tables must agree. To reach: no more than the baseline's time.

    python tests/benchmarks/bench_analysis.py [--trials 10000] [--repeats 5]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from statsmodels.stats.anova import anova_lm
from table import Row, run

from seedbed.analyze import anova, contrasts

TOY = ("--trials", "480", "--repeats", "1")
NEEDS = ()

LEVELS = {"A": 2, "B": 3, "G": 4, "D": 5, "E": 2}
FORMULA = "y ~ C(seed) + (C(A) + C(B) + C(G) + C(D) + C(E)) ** 2"


def table(num_trials: int) -> pd.DataFrame:
    """A full grid on as many seeds as fill the number, a twentieth of its trials lost."""
    random = np.random.default_rng(0)
    num_cells = int(np.prod(list(LEVELS.values())))
    trials = pd.DataFrame(
        [(*np.unravel_index(i % num_cells, tuple(LEVELS.values())), i // num_cells)
         for i in range(num_trials)], columns=[*LEVELS, "seed"],
    )  # fmt: skip
    trials["y"] = (
        0.1 * trials["A"] + 0.02 * trials["B"] * trials["G"] + random.normal(0, 0.1, num_trials)
    )
    trials["status"] = np.where(random.random(num_trials) < 0.05, "failed", "completed")
    return trials


def ours(trials: pd.DataFrame) -> pd.DataFrame:
    found = anova(trials, "y", list(LEVELS), block="seed")
    for name in LEVELS:
        contrasts(trials, "y", list(LEVELS), of=name, baseline=0, block="seed")
    return found


def theirs(trials: pd.DataFrame) -> pd.DataFrame:
    done = trials[trials["status"] == "completed"]
    return anova_lm(smf.ols(FORMULA, done).fit(), typ=2)


def timed(job: Callable[[pd.DataFrame], pd.DataFrame], trials: pd.DataFrame) -> float:
    began = time.perf_counter()
    job(trials)
    return time.perf_counter() - began


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args(arguments)
    trials = table(args.trials)
    one, other = ours(trials), theirs(trials)
    for name in ("A", "E", "A:B", "D:E"):
        term = ":".join(f"C({part})" for part in name.split(":"))
        np.testing.assert_allclose(one.loc[name, "sum_sq"], other.loc[term, "sum_sq"], rtol=1e-6)
    found: dict[str, list[float]] = {"anova_lm": [], "ours": []}
    jobs = {"anova_lm": theirs, "ours": ours}
    for repeat in range(args.repeats):
        for which in sorted(found, reverse=bool(repeat % 2)):
            found[which].append(timed(jobs[which], trials))
            print(json.dumps({"form": which, "seconds": found[which][-1]}), flush=True)
    middle = {which: statistics.median(values) for which, values in found.items()}
    print(f"{len(trials)} trials, {len(LEVELS)} factors, medians of {args.repeats}")
    for which, seconds in middle.items():
        print(f"  {which:<10}{seconds:>8.2f} s")
    ratio = middle["ours"] / middle["anova_lm"]
    return [Row("anova and all contrasts, time", ratio, "statsmodels' anova_lm", 1)]


if __name__ == "__main__":
    run(main, TOY)
