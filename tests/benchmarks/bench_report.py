"""Analysis and report of 10,000 trials and 5 factors, against statsmodels' ANOVA of the table.

    python tests/benchmarks/bench_report.py [--trials 10000]

To reach: everything, from the trials table to the page and the tables on disk, in under 20 s.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from table import Row, run

from seedbed.analyze import trials_table, write_report
from seedbed.plan.design import Design
from seedbed.study.cell import Cell
from seedbed.study.record import TrialRecord

TOY = ("--trials", "480")
NEEDS = ()

LEVELS = {"depth": 4, "model": 3, "supervision": 5, "data": 2, "augment": 2}  # 240 cells


def made(num_trials: int) -> tuple[Design, list[TrialRecord]]:
    """A design of whole seeds with at most `num_trials` trials, and their records; 5 % failed."""
    random = np.random.default_rng(0)
    levels = {name: [f"{name}{n}" for n in range(count)] for name, count in LEVELS.items()}
    cells = list(itertools.product(*levels.values()))
    num_seeds = num_trials // len(cells) + 1
    shifts = random.normal(0, 0.005, num_seeds)
    trials, records = [], []
    for seed, labels in itertools.product(range(num_seeds), cells):
        key = f"{len(trials):016x}"
        cell = dict(zip(levels, labels, strict=True))
        trials.append({"key": key, "cell": cell, "seed": seed})
        value = 0.3 + 0.01 * int(cell["depth"][-1]) + shifts[seed] + random.normal(0, 0.004)
        failed = random.uniform() < 0.05
        metrics = {
            "zeroshot/top1": value,
            "zeroshot/top5": value + 0.2,
            "cost/device_hours": 1.0 + 0.2 * int(cell["depth"][-1]) + random.uniform(),
        }
        records.append(
            TrialRecord(
                key=key, study="bench", scale="paper", cell=Cell(cell), seed=seed, cohort="",
                status="failed" if failed else "completed", reason="lost" if failed else "",
                metrics={} if failed else metrics,
            )
        )  # fmt: skip
    design = {
        "study": "bench", "question": "How fast?", "scale": "paper",
        "factors": {n: {"levels": v, "baseline": v[0], "at": n} for n, v in levels.items()},
        "responses": ["zeroshot/top1", "zeroshot/top5", "cost/device_hours"],
        "trials": trials,
        "claims": [
            {
                "id": "C1", "statement": "Deeper is better.", "response": "", "alpha": 0.05,
                "contrasts": [
                    {
                        "of": "depth", "level": "depth3", "over": "depth0", "at": {},
                        "less_at": {}, "direction": "above", "margin": 0.0,
                    }
                ],
            }
        ],
    }  # fmt: skip
    return Design.from_json(design), records


def statsmodels_seconds(table: pd.DataFrame) -> float:
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    done = table[table["status"] == "completed"].rename(columns={"zeroshot/top1": "y"})
    done = done.assign(**{name: done[name].astype(str) for name in LEVELS})
    start = time.perf_counter()
    terms = " + ".join(f"C({name}, Sum)" for name in LEVELS)
    anova_lm(ols(f"y ~ ({terms})**2 + C(seed, Sum)", done).fit(), typ=2)
    return time.perf_counter() - start


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    args = parser.parse_args(arguments)
    design, records = made(args.trials)
    start = time.perf_counter()
    table = trials_table(design, records)
    with tempfile.TemporaryDirectory() as folder:
        report = write_report(design, table, Path(folder), {})
        seconds = time.perf_counter() - start
        size = report.page.stat().st_size
    theirs = statsmodels_seconds(table)
    print(
        f"{len(table):,} trials, {len(LEVELS)} factors, {len(design.responses)} responses: "
        f"analysis and report {seconds:.1f} s, a page of {size / 1e6:.2f} MB; "
        f"statsmodels' anova_lm of one response alone {theirs:.1f} s"
    )
    baseline = "anova_lm of one response"
    return [
        Row("table to page, time", seconds, "", 20, unit="s"),
        Row("table to page, time", seconds / theirs, baseline),
    ]


if __name__ == "__main__":
    run(main, TOY)
