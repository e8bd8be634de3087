"""On paper: 100,000 shards of 4,000 pairs, read by 64 workers. No shard exists; the plan does.

What the index weighs, what opening it and planning an epoch takes, what a driver holds in memory,
and how long a rank needs to find its place in the middle of an epoch. Absolute figures of one
process, with the same for a tenth of the shards beside them: what does not grow tenfold does not
depend on the corpus. To reach: memory that grows no faster than the corpus.

And a selection of 15 million pairs, by simulated hashes: what the driver holds of each, at most and
in the end, and what a task takes to judge a shard of real captions.

    python tests/benchmarks/bench_scale.py [--shards 100000] [--pairs 15000000]
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

TOY = ("--shards", "500", "--pairs", "200000")
NEEDS = ()
EACH, WORLD, BATCH = 4_000, 64, 32_768
JUDGED = 10_000  # pairs of a shard of img2dataset's


def measure(num_shards: int) -> dict[str, float]:
    from seedbed.data.holdout import HOLDOUT_MAX
    from seedbed.data.order import Order
    from seedbed.data.reads import plan_reads
    from seedbed.data.rounds import Span, rounds
    from seedbed.data.rows import Rows, SourceStarts, Starts
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
    source = SourceStarts.of({s.name: starts for s in read})
    rows = Rows(
        tuple(f"s3://bucket/prefix/{s.name}" for s in read),
        tuple(s.num_samples for s in read),
        "fingerprint",
        Starts.of([(source, s.name) for s in read]),
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


def select(num_pairs: int) -> dict[str, float]:
    from seedbed.data.select.choice import Choice
    from seedbed.data.select.filters.duplicates import ExactDuplicates
    from seedbed.data.select.filters.length import Length
    from seedbed.data.select.filters.markup import Markup
    from seedbed.data.select.filters.near_duplicates import NearDuplicates
    from seedbed.data.select.filters.repeated_captions import RepeatedCaptions
    from seedbed.data.select.judge import KEPT, Asked, Judged, judge
    from seedbed.data.select.selection import Selection

    rules = (Length(), Markup(), ExactDuplicates(), RepeatedCaptions(20))
    asked = Asked(Selection(rules, fraction=0.9, take=num_pairs // 2))
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


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, default=15_000_000)
    parser.add_argument("--measure", choices=("shards", "pairs"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        pairs = options.measure == "pairs"
        print(json.dumps(select(options.pairs) if pairs else measure(options.shards)))
        sys.exit()
    few, many = _compared("shards", options.shards)
    _, chosen = _compared("pairs", options.pairs)
    memory, each = "memory of the driver, MB", "memory of a pair, bytes"
    return [
        *(
            Row(n.removesuffix(", s"), found[n], "", unit="s")
            for found in (many, chosen)
            for n in found
            if n.endswith(", s")
        ),
        Row("memory of the driver", many[memory] / few[memory], "a tenth of the shards", 10),
        # Of 60 characters, fixed-width Unicode took 240 bytes.
        Row("memory of the driver for a pair to be chosen", chosen[each], "", 100, unit="B"),
    ]


def _compared(what: str, size: int) -> list[dict[str, float]]:
    """What is measured at a tenth of `size` and at `size`, shown side by side."""
    sizes = [size // 10, size]
    columns = []
    for one in sizes:  # each in a process of its own, for its memory
        command = [sys.executable, __file__, "--measure", what, f"--{what}", str(one)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        columns.append(json.loads(done.stdout))
    print(f"{what:<46}{sizes[0]:>14,}{sizes[1]:>14,}{'ratio':>8}")
    for name in columns[0]:
        a, b = (column[name] for column in columns)
        shown = (f"{v:,.0f}" if v >= 100 else f"{v:.3f}" for v in (a, b))
        print(f"{name:<46}{next(shown):>14}{next(shown):>14}{b / a if a else 0:>8.1f}")
    return columns


if __name__ == "__main__":
    run(main, TOY)
