"""On paper: 100,000 shards of 4,000 pairs, read by 64 workers. No shard exists; the plan does.

What the index weighs, what opening it and planning an epoch takes, what a driver and a rank hold in
memory, and how long a rank needs to know its first bytes, and its place in the middle of an epoch.
Absolute figures of processes of their own, with the same for a tenth of the shards beside them:
what does not grow tenfold does not depend on the corpus. And the same tenth as it was kept before:
in one file, read as a whole. To reach: memory that grows no faster than the corpus, a quarter of
what it was.

And a selection of 15 million pairs, by simulated hashes: what the driver holds of each, at most and
in the end, and what a task takes to judge a shard of real captions.

    python tests/benchmarks/bench_scale.py [--shards 100000] [--pairs 15000000]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import simulated_index
from table import Row, run

TOY = ("--shards", "500", "--pairs", "200000")
NEEDS = ()
JUDGED = 10_000  # pairs of a shard of img2dataset's


def select(num_pairs: int) -> dict[str, float]:
    from seedbed.data.select.choice import Choice
    from seedbed.data.select.filters.duplicates import ExactDuplicates
    from seedbed.data.select.filters.length import Length
    from seedbed.data.select.filters.markup import Markup
    from seedbed.data.select.filters.near_duplicates import NearDuplicates
    from seedbed.data.select.filters.repeated_captions import RepeatedCaptions
    from seedbed.data.select.judge import KEPT, Judged, Question, judge
    from seedbed.data.select.selection import Selection

    rules = (Length(), Markup(), ExactDuplicates(), RepeatedCaptions(20))
    asked = Question(Selection(rules, fraction=0.9, take=num_pairs // 2))
    rng = np.random.default_rng(0)
    words = np.array(["a", "red", "fox", "runs", "over", "the", "quiet", "snow"])
    texts = np.dtypes.StringDType()
    captions = [" ".join(rng.choice(words, rng.integers(1, 12))) for _ in range(JUDGED)]
    rows = {
        "caption": np.array(captions, texts),
        "key": np.array([f"{n:09}" for n in range(JUDGED)], texts),
        "uid": np.array([""] * JUDGED, texts),
        "sha256": np.array([f"{n:064x}" for n in range(JUDGED)], texts),
    }
    found: dict[str, float] = {}
    began = time.perf_counter()
    judge(asked, rows, 0)
    found["judge 10,000 pairs, s"] = time.perf_counter() - began

    def bits(most: int, size: int) -> np.ndarray:  # type: ignore[type-arg]
        """Numbers of which about so many differ, mixed."""
        return rng.integers(0, most, size, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)

    counts = [min(JUDGED, num_pairs - first) for first in range(0, num_pairs, JUDGED)]
    before = _peak()
    began = time.perf_counter()
    choice = Choice(asked, counts)
    for shard, size in enumerate(counts):
        refused = np.where(rng.random(size) < 0.05, 0, KEPT).astype(np.uint8)
        digests = {2: bits(5 * num_pairs, size), 3: bits(num_pairs // 3, size)}
        keys, names = bits(2**63, size), bits(2**63, size)
        choice.add(shard, Judged(refused, keys, names, digests=digests))
    found["take up what was judged, s"] = time.perf_counter() - began
    began = time.perf_counter()
    stays, _ = choice.chosen(lambda rows: [])
    found["choose, s"] = time.perf_counter() - began
    found["pairs that stay"] = int(stays.sum())
    found["memory of the driver, MB"] = _peak() - before
    found["memory of a pair, bytes"] = found["memory of the driver, MB"] * 1e6 / num_pairs
    tenth = num_pairs // 10
    began = time.perf_counter()
    NearDuplicates().choose(bits(2**63, tenth), bits(2**63, tenth))
    found["near duplicates of a tenth, s"] = time.perf_counter() - began
    return found


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


STEPS = {
    "shards": ("write", "plan", "work"),
    "before": ("write_before", "plan_before", "work", "take_up"),
    "pairs": ("select",),
}


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, default=15_000_000)
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.step:
        name, folder, size = options.step
        print(json.dumps(_step(name, Path(folder), int(size))))
        sys.exit()
    tenth = options.shards // 10
    old, few, many = _compared(("before", tenth), ("shards", tenth), ("shards", options.shards))
    _, chosen = _compared(("pairs", options.pairs // 10), ("pairs", options.pairs))
    each = "memory of a pair, bytes"
    before, tenth_now, now = (max(1.0, one["driver: own memory, MB"]) for one in (old, few, many))
    return [
        *(
            Row(n.removesuffix(", s"), found[n], "", unit="s")
            for found in (many, chosen)
            for n in found
            if n.endswith(", s")
        ),
        Row("driver's memory", now / tenth_now, "a tenth of the shards", 10),
        Row("driver's memory of that tenth", tenth_now / before, "as it was before", 0.25),
        # Of 60 characters, fixed-width Unicode took 240 bytes.
        Row("memory of the driver for a pair to be chosen", chosen[each], "", 100, unit="B"),
    ]


def _step(name: str, folder: Path, size: int) -> dict[str, float]:
    if name == "select":
        return select(size)
    step = getattr(simulated_index, name)
    return step(folder, size) if name.startswith("write") else step(folder)  # type: ignore[no-any-return]


def _compared(*asked: tuple[str, int]) -> list[dict[str, float]]:
    """What is measured of each kind at each size, shown side by side."""
    columns = []
    for kind, size in asked:
        column: dict[str, float] = {}
        with tempfile.TemporaryDirectory() as folder:
            for step in STEPS[kind]:  # each in a process of its own, for its memory
                command = [sys.executable, __file__, "--step", step, folder, str(size)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                column |= json.loads(done.stdout)
        columns.append(column)
    heads = [f"{size:,}{' before' * (kind == 'before')}" for kind, size in asked]
    print(f"{asked[-1][0]:<54}" + "".join(f"{head:>16}" for head in heads))
    for name in dict.fromkeys(name for column in columns for name in column):
        shown = (column.get(name) for column in columns)
        cells = ("" if n is None else f"{n:,.0f}" if n >= 100 else f"{n:.3f}" for n in shown)
        print(f"{name:<54}" + "".join(f"{cell:>16}" for cell in cells))
    return columns


if __name__ == "__main__":
    run(main, TOY)
