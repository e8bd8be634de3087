"""Shards a second of `seedbed index` against reading the same bytes and doing nothing with them.

Both use as many threads and the same whole-shard reads, from a folder and from a real S3 server;
they take turns, and which is first changes. To reach: 0.7 of the reading alone from the server,
which shares these cores; the folder lies in memory whole, and shows what is not reading.

    python tests/benchmarks/bench_index.py [--shards 40] [--mbytes 20] [--repeats 5]
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from table import Row, run

from seedbed.data.shards.index import index_source, shards_of
from seedbed.data.shards.shard_index import IndexJob, Read
from seedbed.data.shards.spread import in_threads
from seedbed.storage.objects import read_object, write_object
from seedbed_local.s3 import serve

TOY = ("--shards", "3", "--mbytes", "1", "--repeats", "1")
NEEDS = ("s3",)
PICTURE = 20_000  # bytes, as of a JPEG of 256 px


def picture(rng: np.random.Generator) -> bytes:
    """A JPEG with noise behind its end: bytes that differ, in a picture that can be decoded."""
    out = io.BytesIO()
    Image.new("RGB", (256, 256)).save(out, "JPEG")
    return out.getvalue() + rng.bytes(PICTURE - len(out.getvalue()))


def write_shard(path: Path, num_bytes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    with tarfile.open(path, "w") as tar:
        for n in range(num_bytes // PICTURE):
            for name, content in (("jpg", picture(rng)), ("txt", b"a caption of words")):
                member = tarfile.TarInfo(f"{seed:05}{n:05}.{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def reading(uri: str) -> float:
    def only_read(job: IndexJob) -> Read:
        read_object(job.found.uri)
        return None  # type: ignore[return-value]

    began = time.perf_counter()
    jobs = [IndexJob(name, found) for name, found in shards_of(uri).items()]
    for _ in in_threads(only_read, jobs):
        pass
    return len(jobs) / (time.perf_counter() - began)


def indexing(uri: str, kept: Path) -> float:
    began = time.perf_counter()
    index = index_source(uri, (), (str(kept),))
    return len(index.shards) / (time.perf_counter() - began)


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=40)
    parser.add_argument("--mbytes", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "corpus"
        folder.mkdir()
        for shard in range(options.shards):
            write_shard(folder / f"{shard:05}.tar", options.mbytes * 10**6, shard)
        rows = [compare("a folder", str(folder), Path(root), options.repeats)]
        (Path(root) / "seaweed").mkdir()
        with serve(Path(root) / "seaweed") as reach:
            os.environ.update(reach)
            for path in sorted(folder.glob("*.tar")):
                write_object(f"s3://corpus/bench/{path.name}", path.read_bytes())
            rows.append(compare("SeaweedFS", "s3://corpus/bench", Path(root), options.repeats))
    return rows


def compare(where: str, uri: str, root: Path, repeats: int) -> Row:
    reading(uri)  # connections, and the disk's cache
    rates: dict[str, list[float]] = {"reading": [], "indexing": []}
    for turn in range(repeats):
        for name in ("reading", "indexing")[:: 1 if turn % 2 else -1]:
            kept = root / f"kept-{where[0]}-{turn}"
            rate = reading(uri) if name == "reading" else indexing(uri, kept)
            rates[name].append(rate)
    read, index = (statistics.median(rates[name]) for name in ("reading", "indexing"))
    print(f"{where}: reading {read:.1f} shards/s, indexing {index:.1f} shards/s", flush=True)
    goal = 0.7 if "://" in uri else None
    return Row(f"index from {where}, shards/s", index / read, "reading alone", goal, at_least=True)


if __name__ == "__main__":
    run(main, TOY)
