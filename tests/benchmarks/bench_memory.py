"""Peak memory of a data task, of a rank and of the object store, over what the stream plans.

One worker of several reads its lanes of a real shard through the real stream: 224 px, 10,000 rows a
shard, global batches of 4,096. Private memory is counted as it is held (Linux's RssAnon and
RssFile), the store by what Ray counts as used in it. Baselines: `task_bytes`, `rank_bytes` and
`store_bytes` of `data/footprint.py`, the first of which is what a task asks of Ray. To reach:
within 20 % of each: nothing is promised that is not there, and nothing kept that nobody uses.

    python tests/benchmarks/bench_memory.py [--rows 10000] [--batch 4096] [--workers 8] [--tasks 1]
"""

from __future__ import annotations

import argparse
import io
import os
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import ray
import torch
from PIL import Image
from table import Row, run

from seedbed.data.corpus import Corpus
from seedbed.data.footprint import rank_bytes, store_bytes, task_bytes
from seedbed.data.opening import OpenCorpus, open_corpus
from seedbed.data.order import Order
from seedbed.data.reads import plan_reads
from seedbed.data.render.image import STANDARD_SLIP
from seedbed.data.render.render import Rendering
from seedbed.data.rounds import Span, rounds
from seedbed.data.stream import stream
from seedbed.data.views import IMAGE, TEXT
from seedbed.recipe.scale import SCALES

TOY = ("--rows", "512", "--batch", "256", "--workers", "2", "--steps", "8", "--size", "64")
TOY += ("--still", "1")
NEEDS = ("ray",)
CONTEXT, PAPER = 77, SCALES["paper"].patches
LANES, WINDOW_ROWS = PAPER["corpus.lanes"], PAPER["corpus.window_rows"]
PICTURE = 20_000  # bytes, about what img2dataset leaves at 256 px
SAMPLE_SECONDS = 0.02


def write_shard(path: Path, rows: int, side: int) -> None:
    """One picture, with other bytes behind each copy's end: nobody decodes these."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
    out = io.BytesIO()
    coarse.resize((side, side), Image.Resampling.BICUBIC).save(out, "JPEG", quality=60)
    with tarfile.open(path, "w") as tar:
        for n in range(rows):
            picture = out.getvalue() + rng.bytes(max(0, PICTURE - len(out.getvalue())))
            for name, content in (("jpg", picture), ("txt", b"a picture of number %d" % n)):
                member = tarfile.TarInfo(f"{n:05}.{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def private_bytes(process: int | str) -> int:
    """What a process holds alone: without Ray's store, which all share."""
    fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines()
    )
    return sum(int(fields[name].split()[0]) for name in ("RssAnon", "RssFile")) * 1024


def children(process: int) -> list[int]:
    found = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(child) for child in found]


class Peaks:
    """The largest figures seen: of this process, of one of Ray's workers, and of the store."""

    def __init__(self) -> None:
        self.rank = self.task = self.store = 0
        self._grown = time.monotonic()
        self._raylets = [
            child
            for child in children(os.getpid())
            if Path(f"/proc/{child}/comm").read_text().startswith("raylet")
        ]
        self._capacity = ray.cluster_resources()["object_store_memory"]

    def look(self) -> None:
        self.rank = max(self.rank, private_bytes("self"))
        for raylet in self._raylets:
            for worker in children(raylet):
                try:
                    if Path(f"/proc/{worker}/cmdline").read_bytes().startswith(b"ray::"):
                        self.task = max(self.task, private_bytes(worker))
                except (OSError, KeyError):  # it has ended
                    continue
        used = self._capacity - ray.available_resources().get("object_store_memory", 0.0)
        if used > self.store:
            self.store, self._grown = int(used), time.monotonic()

    def wait(self, seconds: float) -> None:
        """Until the store holds no more than so many seconds ago."""
        self._grown = time.monotonic()
        while time.monotonic() < self._grown + seconds:
            time.sleep(SAMPLE_SECONDS)


@contextmanager
def watched() -> Iterator[Peaks]:
    peaks, ended = Peaks(), threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            peaks.look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        ended.set()
        thread.join()


def read_all(
    corpus: OpenCorpus,
    order: Order,
    span: Span,
    rendering: Rendering,
    num_tasks: int,
    still_seconds: float,
) -> Peaks:
    """What a rank does with its batches, but for training: it takes nothing for a while after the
    first (as one that compiles, or evaluates), until the stream stands still; and it copies."""
    before = private_bytes("self")
    batches = stream(corpus.train, order, span, rendering, num_tasks=num_tasks)
    with watched() as peaks:
        for step, columns in enumerate(batches):
            if step == 0:
                peaks.wait(still_seconds)
            tensors = {
                name: torch.from_numpy(np.array(column))
                for name, column in columns.items()
                if name != "fault"
            }
            del tensors
    peaks.rank -= before
    return peaks


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=4_096)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--tasks", type=int, default=1, help="at a time (1)")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--still", type=float, default=8, help="seconds for the store to be full")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "corpus"
        folder.mkdir()
        write_shard(folder / "00000.tar", options.rows, 256)
        corpus = open_corpus(Corpus(uri=str(folder), caption="txt"), Path(root) / "home")
        order = Order(
            corpus.train.blocks, fingerprint="bench", seed=0, lanes=LANES, window_rows=WINDOW_ROWS
        )
        rendering = Rendering(
            {IMAGE: STANDARD_SLIP},
            (TEXT,),
            options.size,
            CONTEXT,
            "txt",
            seed=0,
            decode_side=STANDARD_SLIP.needed_side(options.size),
        )
        span = Span(0, options.steps * options.batch, options.batch, 0, options.workers)
        reads = [plan_reads(corpus.train, one.picks) for one in rounds(order, span)]
        held, rows = max(r.held_bytes for r in reads), max(len(r.picks) for r in reads)
        planned = {
            "task": task_bytes(rendering, held),
            "rank": rank_bytes(rendering, options.batch // options.workers),
            "store": store_bytes(rendering, rows, options.tasks),
        }
        ray.init(num_cpus=options.tasks + 1, include_dashboard=False, log_to_driver=False)
        try:
            peaks = read_all(corpus, order, span, rendering, options.tasks, options.still)
        finally:
            ray.shutdown()
    found_rows = []
    for name, plan in planned.items():
        found = getattr(peaks, name)
        print(f"{name:<6} {found / 1e6:8,.0f} MB, planned {plan / 1e6:8,.0f} MB")
        found_rows.append(Row(f"peak memory of a {name}", found / plan, "the plan", 1.2))
        found_rows.append(Row(f"plan for a {name}", plan / found, "its peak", 1.25))
    return found_rows


if __name__ == "__main__":
    run(main, TOY)
