"""What threads of a rank cost that wait for each other in a loop, beside data tasks and without.

Steps of a small ResNet on as many threads as there are cores, once with `GOMP_SPINCOUNT` as
`seedbed.cluster.connect` sets it and once as libgomp has it, each on idle cores and beside two busy
processes a core. Baseline, in the same run: libgomp's own. To reach: 0.8 of its seconds beside busy
processes, and no more than 1.15 of them on idle cores.

    python tests/benchmarks/bench_spinning.py [--seconds 8] [--repeats 3] [--busy 2 0]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from table import Row, run

from seedbed.cluster.connect import RAY_SETTINGS

TOY = ("--seconds", "0.5", "--repeats", "1", "--busy", "0")
NEEDS = ()
NAME = "GOMP_SPINCOUNT"
CORES = os.cpu_count() or 1


def steps(seconds: float) -> None:
    """Print the seconds of a step, in a process of its own: libgomp reads its settings once."""
    import torch
    from torch import nn

    torch.set_num_threads(CORES)

    def block() -> nn.Module:
        return nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU())

    model, pictures = nn.Sequential(*(block() for _ in range(8))), torch.randn(64, 32, 8, 8)
    for _ in range(3):
        model(pictures).sum().backward()
    began, count = time.perf_counter(), 0
    while time.perf_counter() < began + seconds:
        model(pictures).sum().backward()
        count += 1
    print((time.perf_counter() - began) / count)


def measured(seconds: float, **settings: str) -> float:
    plain = {name: value for name, value in os.environ.items() if name != NAME}
    command = [sys.executable, __file__, "--steps-for", str(seconds)]
    told = subprocess.run(
        command, env=plain | settings, check=True, capture_output=True, text=True
    ).stdout
    return float(told)


@contextmanager
def computing(count: int) -> Iterator[None]:
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="of steps, each time (8)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--busy", type=int, nargs="+", default=[2, 0], help="a core (2 0)")
    parser.add_argument("--steps-for", type=float, default=0.0, help="be a process that steps")
    options = parser.parse_args(arguments)
    if options.steps_for:
        steps(options.steps_for)
        return []
    rows = []
    for busy in options.busy:
        ours, theirs = [], []
        with computing(busy * CORES):
            for _ in range(options.repeats):
                theirs.append(measured(options.seconds))
                ours.append(measured(options.seconds, **{NAME: RAY_SETTINGS[NAME]}))
        ratio = statistics.median(ours) / statistics.median(theirs)
        figure = f"a step on {CORES} threads, {busy} busy processes a core"
        rows.append(Row(figure, ratio, "libgomp's own waiting", 0.8 if busy else 1.15))
    return rows


if __name__ == "__main__":
    if "--steps-for" in sys.argv:
        main(sys.argv[1:])
    else:
        run(main, TOY)
