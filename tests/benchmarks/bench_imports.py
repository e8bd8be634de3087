"""What a rank waits for its modules, where Python looks for garbage as seldom as we let it.

Processes that import what a rank needs, in turns with ones that collect as Python does by itself:
the baseline. To reach: 0.9 of its seconds.

    python tests/benchmarks/bench_imports.py [--repeats 5]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from table import Row, run

TOY = ("--repeats", "1")
NEEDS = ()
WAYS = {"usual": "", "seldom": "from seedbed.collecting import seldom; seldom(); "}
MODULES = "import ray, seedbed.run.worker.rank"


def seconds(first: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", first + MODULES], check=True)
    return time.perf_counter() - began


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(options.repeats):
        for way in list(WAYS)[:: 1 if turn % 2 else -1]:
            found[way].append(seconds(WAYS[way]))
    middle = {way: statistics.median(times) for way, times in found.items()}
    print(f"seconds of a rank's imports, medians of {options.repeats}: {middle}")
    figure = "a rank's imports, seconds"
    return [Row(figure, middle["seldom"] / middle["usual"], "Python's own collecting", 0.9)]


if __name__ == "__main__":
    run(main, TOY)
