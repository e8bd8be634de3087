"""`seedbed analyze` of 10,000 runs that another trainer left, in an MLflow database and in a table.

    python tests/benchmarks/bench_foreign_runs.py [--runs 10000]

Each run has 20 params, 10 metrics and 5 tags; those of the table are of 20 x 20 cells by 25 seeds,
of which every pair is compared. The command is a process of its own, as a person starts it.
Baseline, in the same run: MLflow's own `search_runs` of them as a table. To reach: each whole
report in under 30 s.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from table import Row, run

TOY = ("--runs", "160")
NEEDS = ()
LEVELS = {"lr": ("1e-4", "3e-4", "1e-3", "3e-3"), "depth": ("3", "6", "12"), "data": ("a", "b")}
# A table in their place would be kinder to MLflow: its client writes a run in some 30 ms.
FILL = {
    "runs": "(run_uuid, name, source_type, user_id, status, start_time, end_time, lifecycle_stage,"
    " artifact_uri, experiment_id) VALUES (?, ?, 'LOCAL', 'me', 'FINISHED', ?, ?, 'active', '', ?)",
    "params": "(key, value, run_uuid) VALUES (?, ?, ?)",
    "tags": "(key, value, run_uuid) VALUES (?, ?, ?)",
    "latest_metrics": "(key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, 1, 1, 0, ?)",
}
SEARCH = (
    "import mlflow, sys, time; mlflow.set_tracking_uri(sys.argv[1]); began = time.perf_counter();"
    "found = mlflow.search_runs(experiment_names=['theirs'], max_results=50_000);"
    "print(len(found), time.perf_counter() - began)"
)


def fill(path: Path, num_runs: int) -> None:
    """An experiment `theirs` in a new database."""
    from mlflow import MlflowClient

    experiment = int(MlflowClient(f"sqlite:///{path}").create_experiment("theirs"))
    noise = random.Random(0)
    rows: dict[str, list[tuple[object, ...]]] = {name: [] for name in FILL}
    for number in range(num_runs):
        key, left, own = f"{number:032x}", number, {}
        for name, values in LEVELS.items():
            left, place = divmod(left, len(values))
            own[name] = values[place]
        own |= {"seed": str(left)} | {f"option_{n}": str(n) for n in range(16)}
        value = 0.3 + 0.01 * (own["lr"] == "1e-3") + noise.gauss(0, 0.01)
        rows["runs"].append((key, f"run {number}", number, number, experiment))
        rows["params"] += [(name, said, key) for name, said in own.items()]
        rows["tags"] += [(f"tag_{n}", "text", key) for n in range(5)]
        rows["latest_metrics"] += [("val/acc", value, key)]
        rows["latest_metrics"] += [(f"metric_{n}", noise.random(), key) for n in range(9)]
    with sqlite3.connect(path) as database:
        for table, columns in FILL.items():
            database.executemany(f"INSERT INTO {table} {columns}", rows[table])


def write_table(path: Path, num_runs: int) -> None:
    """A .csv file of two factors, each of as many levels as 25 seeds leave."""
    levels, noise = max(2, math.isqrt(num_runs // 25)), random.Random(0)
    rows = [
        f"a{a:02d},b{b:02d},{seed},{0.3 + 0.01 * (a == 1) + noise.gauss(0, 0.01)}"
        for a in range(levels)
        for b in range(levels)
        for seed in range(25)
    ]
    path.write_text("\n".join(["a,b,seed,acc", *rows, ""]))


def children_seconds() -> float:
    """Processor time of the processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    num_runs = parser.parse_args(arguments).runs
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mlflow.db"
        fill(path, num_runs)
        uri = f"sqlite:///{path}"
        searched = subprocess.run(
            [sys.executable, "-c", SEARCH, uri], capture_output=True, text=True, check=True
        ).stdout.split()
        assert int(searched[0]) == num_runs
        began, spent = time.perf_counter(), children_seconds()
        done = subprocess.run(
            [sys.executable, "-m", "seedbed.commands.seedbed", "analyze", "mlflow:theirs",
             "--tracking-uri", uri, "--response", "metrics.val/acc", "--unit", "share",
             "--factors", *(f"params.{name}" for name in LEVELS), "--block", "params.seed",
             "--out", str(Path(folder) / "report")],
            capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "100"},
        )  # fmt: skip
        seconds, spent = time.perf_counter() - began, children_seconds() - spent
        assert "params.lr" in done.stdout and (Path(folder) / "report" / "anova.csv").exists()
        table, began = Path(folder) / "runs.csv", time.perf_counter()
        write_table(table, num_runs)
        subprocess.run(
            [sys.executable, "-m", "seedbed.commands.seedbed", "analyze", str(table), "--response",
             "acc", "--unit", "share", "--factors", "a", "b", "--block", "seed", "--out",
             str(Path(folder) / "of_table")],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        of_table = time.perf_counter() - began
    print(
        f"{num_runs:,} runs: {seconds:.1f} s, {spent:.1f} s of them on a processor; "
        f"MLflow's search alone {float(searched[1]):.1f} s"
    )
    return [
        Row("a report of foreign runs, time", seconds, "", 30, unit="s"),
        Row("a report of a table of 20 x 20 cells, time", of_table, "", 30, unit="s"),
        Row("a report of foreign runs, time", seconds / float(searched[1]), "mlflow.search_runs"),
    ]


if __name__ == "__main__":
    run(main, TOY)
