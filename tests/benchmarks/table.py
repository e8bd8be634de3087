"""What a benchmark found, in one form: a figure, its goal, and whether it is met.

A benchmark is a file `bench_*.py` that defines `main(arguments) -> list[Row]`, `TOY`, the arguments
that make it take seconds and whose figures say nothing but that it runs, and `NEEDS`, the markers
of what it starts. It ends with `run(main, TOY)`:

    python tests/benchmarks/bench_analysis.py [--toy] [--rows FILE] [its own arguments]

`python tests/benchmarks/table.py [--toy] [NAME ...]` runs all of them, each in a process of its
own, and prints one table. Its status is 1 where one could not be run to its end; one that misses
its goal says so, and that is all.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Row:
    """A figure: a ratio of two measurements of one run, or what `unit` says."""

    figure: str
    value: float
    baseline: str  # what the ratio is over; "" for an absolute figure
    goal: float | None = None  # None: it is only looked at
    at_least: bool = False  # the goal is the least, else the most
    unit: str = ""

    @property
    def verdict(self) -> str:
        if self.goal is None:
            return ""
        met = self.value >= self.goal if self.at_least else self.value <= self.goal
        return "met" if met else "MISSED"

    @property
    def goal_text(self) -> str:
        if self.goal is None:
            return ""
        return f"{'≥' if self.at_least else '≤'} {self.goal:g}{self.unit and ' '}{self.unit}"


def run(main: Callable[[Sequence[str]], list[Row]], toy: Sequence[str]) -> None:
    """Run one benchmark by the command line's arguments, and print its rows."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--rows-to", type=Path, help="a file for the rows, as JSON")
    options, own = parser.parse_known_args()
    os.environ.setdefault("RAY_TMPDIR", tempfile.gettempdir())  # it ends after this process
    # Other libraries leave their caches, and what ends by a signal its own folders.
    with tempfile.TemporaryDirectory(prefix="sb", ignore_cleanup_errors=True) as scratch:
        os.environ["TMPDIR"] = tempfile.tempdir = scratch
        rows = main([*(toy if options.toy else ()), *own])
    print(table({Path(sys.argv[0]).stem.removeprefix("bench_"): rows}), flush=True)
    if options.rows_to:
        options.rows_to.write_text(json.dumps([asdict(row) for row in rows]))


def table(found: dict[str, list[Row]]) -> str:
    """All rows by benchmark, in columns."""
    lines = [("benchmark", "figure", "value", "over", "goal", "verdict")]
    lines += [
        (
            name if n == 0 else "",
            row.figure,
            f"{row.value:.3g}{row.unit and ' '}{row.unit}",
            row.baseline,
            row.goal_text,
            row.verdict,
        )
        for name, rows in found.items()
        for n, row in enumerate(rows)
    ]
    widths = [max(len(line[n]) for line in lines) for n in range(len(lines[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def all_benchmarks() -> list[Path]:
    return sorted(FOLDER.glob("bench_*.py"))


def main() -> int:
    """Every benchmark, or those that are named, one after the other; 1 where one did not end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="analysis, losses, … (all)")
    parser.add_argument("--toy", action="store_true", help="small sizes: does it run?")
    options = parser.parse_args()
    paths = [p for p in all_benchmarks() if p.stem.removeprefix("bench_") in options.names]
    if len(paths) < len(set(options.names)):
        known = ", ".join(path.stem.removeprefix("bench_") for path in all_benchmarks())
        parser.error(f"there is no such benchmark; there are {known}")
    found: dict[str, list[Row]] = {}
    broken = []
    with tempfile.TemporaryDirectory() as folder:
        for path in paths or all_benchmarks():
            name = path.stem.removeprefix("bench_")
            rows, began = Path(folder) / f"{name}.json", time.perf_counter()
            print(f"--- {name}", flush=True)
            command = [sys.executable, str(path), "--rows-to", str(rows)]
            done = subprocess.run([*command, *(["--toy"] if options.toy else [])], check=False)
            print(f"    {time.perf_counter() - began:.0f} s\n", flush=True)
            if done.returncode == 0:
                found[name] = [Row(**row) for row in json.loads(rows.read_text())]
            else:
                broken.append(name)
    print(table(found))
    if hasattr(os, "getloadavg"):
        print(f"{os.cpu_count()} cores, load of the last 15 minutes {os.getloadavg()[2]:.1f}")
    if broken:
        print(f"could not be run to its end: {', '.join(broken)}", file=sys.stderr)
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
