"""How soon a stream's first batch comes, what resuming costs, and what ten times the shards cost.

Seconds from asking for a stream to its first batch, at the start of an epoch and at 90 % of one
(baseline: the start; to reach: within 10 s of it, and 5 s in all), by turns in one warm Ray. Then
the largest resident size of a process that reads an epoch of few and of ten times as many shards
(baseline: the few; to reach: 1.1 of it at most).

    python tests/benchmarks/bench_stream.py [--shards 10] [--repeats 5]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench_ingest import BATCH
from photographs import CONTEXT, EACH, SIZE, write_corpus
from table import Row, run

from seedbed.data.corpus import Corpus
from seedbed.data.opening import OpenCorpus, open_corpus
from seedbed.data.order import Order
from seedbed.data.render.image import STANDARD_SLIP
from seedbed.data.render.render import Rendering, render_span
from seedbed.data.rounds import Span
from seedbed.data.views import IMAGE, TEXT

TOY = ("--shards", "1", "--many", "2", "--repeats", "1")
NEEDS = ("ray",)
RENDERING = Rendering({IMAGE: STANDARD_SLIP}, (TEXT,), SIZE, CONTEXT, "txt", seed=0)


def order_of(corpus: OpenCorpus) -> Order:
    return Order(corpus.train.blocks, fingerprint="bench", seed=0, lanes=8, window_rows=1_024)


def first_batch(corpus: OpenCorpus, at: float) -> float:
    from seedbed.data.stream import stream

    order = order_of(corpus)
    start = int(at * order.num_samples) // BATCH * BATCH
    span = Span(start, start + 4 * order.num_samples // BATCH * BATCH, BATCH)
    began = time.perf_counter()
    batches = stream(corpus.train, order, span, RENDERING, num_tasks=2)
    next(batches)
    seconds = time.perf_counter() - began
    batches.close()  # type: ignore[attr-defined]
    return seconds


def peak(folder: Path) -> float:
    """MB of this process after an epoch of `folder`."""
    corpus = open_corpus(Corpus(uri=str(folder), caption="txt"), folder.parent / "home")
    order = order_of(corpus)
    for _ in render_span(corpus.train, order, Span(0, order.num_samples, BATCH), RENDERING, 256):
        pass
    # Not getrusage: it would tell the parent's peak, which a child inherits.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1e3


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=10)
    parser.add_argument("--many", type=int, default=10, help="times as many shards")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peak", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.peak:
        print(peak(options.peak))
        sys.exit()
    from seedbed.cluster.connect import connect

    with tempfile.TemporaryDirectory() as root:
        folders = [Path(root) / str(n) / "corpus" for n in (1, options.many)]
        for folder, factor in zip(folders, (1, options.many), strict=True):
            folder.mkdir(parents=True)
            write_corpus(folder, options.shards * factor * EACH)
        connect()
        corpus = open_corpus(Corpus(uri=str(folders[0]), caption="txt"), Path(root))
        first_batch(corpus, 0)  # Ray's workers start, and import
        seconds: dict[float, list[float]] = {0.0: [], 0.9: []}
        for turn in range(options.repeats):
            for at in (0.0, 0.9)[:: 1 if turn % 2 else -1]:
                seconds[at].append(first_batch(corpus, at))
        start, late = (statistics.median(seconds[at]) for at in (0.0, 0.9))
        print(f"first batch of {BATCH} at the start of an epoch  {start:.2f} s")
        print(f"first batch of {BATCH} at 90 % of an epoch       {late:.2f} s")
        sizes = []
        for folder in folders:
            # Indexed beforehand: the stream is what is measured.
            open_corpus(Corpus(uri=str(folder), caption="txt"), folder.parent / "home")
            command = [sys.executable, __file__, "--peak", str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            sizes.append(float(done.stdout))
        few, many = sizes
        shards = f"{options.shards} and {options.many * options.shards} shards"
        print(f"peak of a process  {few:.0f} and {many:.0f} MB with {shards}")
    return [
        Row("first batch of an epoch", start, "", 5, unit="s"),
        Row("first batch at 90 % of one, later by", late - start, "", 10, unit="s"),
        Row(f"{options.many} times the shards, peak memory", many / few, "the few", 1.1),
    ]


if __name__ == "__main__":
    run(main, TOY)
