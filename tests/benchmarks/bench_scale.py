"""On paper: 100,000 shards of 4,000 pairs, read by 64 workers. No shard exists; the plan does.

What the index weighs, what opening it and planning an epoch takes, what a driver holds in memory,
and how long a rank needs to find its place in the middle of an epoch. Absolute figures of one
process, with the same for a tenth of the shards beside them: what does not grow tenfold does not
depend on the corpus. To reach: memory that grows no faster than the corpus.

    python tests/benchmarks/bench_scale.py [--shards 100000]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from table import Row, run

TOY = ("--shards", "500")
NEEDS = ()
EACH, WORLD, BATCH = 4_000, 64, 32_768


def measure(num_shards: int) -> dict[str, float]:
    from seedbed.data.holdout import HOLDOUT_MAX
    from seedbed.data.order import Order
    from seedbed.data.reads import plan_reads
    from seedbed.data.rounds import Span, rounds
    from seedbed.data.rows import Rows, Starts
    from seedbed.data.shards.index import Index, read_shards, write_index
    from seedbed.data.shards.shard_index import IndexedShard

    found: dict[str, float] = {"samples": num_shards * EACH}
    before = _peak()
    shards = tuple(
        IndexedShard(
            f"{n:06}.tar",
            EACH,
            80_000_000 + n,
            hashlib.md5(b"%d" % n).hexdigest(),
            hashlib.sha256(b"%d" % n).hexdigest(),
            0,
            ("caption", "txt"),
        )
        for n in range(num_shards)
    )
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        write_index(Index(shards, folder), 0)
        found["write the index, s"] = time.perf_counter() - began
        found["index, MB"] = (Path(folder) / "index.json").stat().st_size / 1e6
        began = time.perf_counter()
        read = read_shards(folder)
        found["read the index, s"] = time.perf_counter() - began
    began = time.perf_counter()
    starts = np.arange(EACH + 1, dtype=np.uint32) * 40
    rows = Rows(
        tuple(f"s3://bucket/prefix/{s.name}" for s in read),
        tuple(s.num_samples for s in read),
        "fingerprint",
        Starts.of([starts] * num_shards),
        holdout=False,
        limits=(int(HOLDOUT_MAX / (num_shards * EACH) * 2.0**64),) * num_shards,
        etags=tuple(s.etag for s in read),
    )
    blocks = rows.blocks
    found["count the rows to train on, s"] = time.perf_counter() - began
    began = time.perf_counter()
    order = Order(blocks, fingerprint="f", seed=0, lanes=WORLD, window_rows=1_024)
    span = (2**40 // BATCH * BATCH, BATCH, 17, WORLD)
    next(rounds(order, Span(0, *span)))
    found["plan an epoch, s"] = time.perf_counter() - began
    start = int(1.9 * order.num_samples) // BATCH * BATCH
    began = time.perf_counter()
    first = next(rounds(order, Span(start, *span)))
    found["find a rank's place at 90 % of the next epoch, s"] = time.perf_counter() - began
    began = time.perf_counter()
    reads = plan_reads(rows, first.picks)
    found["say which bytes a round is, s"] = time.perf_counter() - began
    found["a round, MB"] = reads.num_bytes / 1e6
    found["a round as it is sent, MB"] = len(pickle.dumps(reads)) / 1e6
    found["memory of the driver, MB"] = _peak() - before
    return found


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=100_000)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        print(json.dumps(measure(options.shards)))
        sys.exit()
    sizes = [options.shards // 10, options.shards]
    columns = []
    for size in sizes:  # each in a process of its own, for its memory
        command = [sys.executable, __file__, "--measure", "--shards", str(size)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        columns.append(json.loads(done.stdout))
    print(f"{'shards':<46}{sizes[0]:>14,}{sizes[1]:>14,}{'ratio':>8}")
    for name in columns[0]:
        a, b = (column[name] for column in columns)
        shown = (f"{v:,.0f}" if v >= 100 else f"{v:.3f}" for v in (a, b))
        print(f"{name:<46}{next(shown):>14}{next(shown):>14}{b / a if a else 0:>8.1f}")
    few, many = columns
    memory = "memory of the driver, MB"
    return [
        *(Row(n.removesuffix(", s"), many[n], "", unit="s") for n in many if n.endswith(", s")),
        Row("memory of the driver", many[memory] / few[memory], "a tenth of the shards", 10),
    ]


if __name__ == "__main__":
    run(main, TOY)
