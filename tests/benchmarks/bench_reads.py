"""Bytes read for one epoch over the bytes of the corpus, by how many workers read it together.

Every worker's reads are counted where they happen, at 1 to 64 workers, with a part of the rows
held out in between. Baseline: the corpus itself; to reach: 1.05 at any number. When every worker
read every shard that it needed some row of, 8 of them read 7.0 times the corpus. Of parquet files
no less than a group of rows can be read, and a window of 256 cuts one of 64 at each end: 1.25, and
to reach with the footers, of which each group takes 64 kB, 1.3.

    python tests/benchmarks/bench_reads.py [--shards 80] [--rows 1000] [--json]
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from table import Row, run

from seedbed.data import reads
from seedbed.data.corpus import Corpus
from seedbed.data.opening import open_corpus
from seedbed.data.order import BLOCK_ROWS, Order
from seedbed.data.rounds import Span, rounds
from seedbed.recipe.scale import SCALES
from seedbed.storage import ranged

TOY = ("--shards", "6", "--rows", "200")
NEEDS = ()
WORKERS = (1, 2, 4, 8, 64)
PAPER = SCALES["paper"].patches
LANES, WINDOW_ROWS = PAPER["corpus.lanes"], PAPER["corpus.window_rows"]
EACH = 4  # rows of a lane in a step
PICTURE, PHOTOGRAPH = 3_000, 30_000  # bytes
FEW_LANES = 8  # of a tenth of the corpus


def picture() -> bytes:
    """Noise, but for what makes it decode: the index looks at one picture of each shard."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    return out.getvalue()


def write_shard(path: Path, rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    with tarfile.open(path, "w") as tar:
        for n in range(rows):
            members = {"jpg": rng.bytes(PICTURE) if n else picture(), "txt": b"a caption"}
            for name, content in members.items():
                member = tarfile.TarInfo(f"{seed:05}{n:05}.{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def write_parquet(path: Path, rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pictures = [rng.bytes(PHOTOGRAPH) if n else picture() for n in range(rows)]
    table = pa.table({"image": pictures, "txt": ["a caption"] * rows})
    pq.write_table(table, path.with_suffix(".parquet"), row_group_size=BLOCK_ROWS)


class Counted:
    """`read_object`, with the bytes that it gave."""

    def __init__(self) -> None:
        self.num_bytes = 0
        self._read = ranged.read_object

    def __call__(self, uri: str, **options: object) -> bytes:
        content = self._read(uri, **options)  # type: ignore[arg-type]
        self.num_bytes += len(content)
        return content


def measure(
    num_shards: int,
    rows: int,
    write: Callable[[Path, int, int], None] = write_shard,
    workers: Sequence[int] = WORKERS,
    lanes: int = LANES,
) -> dict[int, float]:
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "corpus"
        folder.mkdir()
        for shard in range(num_shards):
            write(folder / f"{shard:05}.tar", rows, shard)
        corpus = open_corpus(Corpus(uri=str(folder), caption="txt"), Path(root) / "home")
        num_bytes = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
        order = Order(
            corpus.train.blocks, fingerprint="bench", seed=0, lanes=lanes, window_rows=WINDOW_ROWS
        )
        batch = lanes * EACH
        steps = order.num_samples // batch
        found = {}
        for world in workers:
            counted = Counted()
            ranged.read_object = counted  # type: ignore[assignment]
            try:
                for rank in range(world):
                    for part in rounds(order, Span(0, steps * batch, batch, rank, world)):
                        for _ in reads.samples(reads.plan_reads(corpus.train, part.picks)):
                            pass
            finally:
                ranged.read_object = counted._read
            # The last batch is not full: as much of the corpus as was asked for.
            found[world] = counted.num_bytes / num_bytes * order.num_samples / (steps * batch)
        return found


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=80)
    parser.add_argument("--rows", type=int, default=1_000)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args(arguments)
    found = measure(options.shards, options.rows)
    few = max(1, options.shards // 10)
    (grouped,) = measure(few, options.rows, write_parquet, (1,), FEW_LANES).values()
    for world, ratio in found.items():
        print(f"{world:>4} workers read {ratio:.3f} of the corpus for an epoch")
    print(f"   1 worker reads {grouped:.3f} of parquet files in groups of {BLOCK_ROWS} rows")
    if options.json:
        print(json.dumps({"ratio": {str(world): ratio for world, ratio in found.items()}}))
        sys.exit()
    return [
        Row(f"bytes read for an epoch, {world} workers", ratio, "the corpus", 1.05)
        for world, ratio in found.items()
    ] + [Row(f"the same of parquet in groups of {BLOCK_ROWS} rows", grouped, "the corpus", 1.3)]


if __name__ == "__main__":
    run(main, TOY)
