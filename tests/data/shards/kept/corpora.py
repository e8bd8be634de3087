"""Small folders of shards, tars and parquet files, drawn at random."""

from __future__ import annotations

import io
import tarfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def write_corpus(folder: Path, sizes: list[int], seed: int) -> Path:
    """Shards of so many pairs, by turns tars and parquet files; some pairs are bad."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for shard, size in enumerate(sizes):
        pictures = [rng.bytes(int(rng.integers(0, 2_000))) for _ in range(size)]
        if shard % 2:
            table = {"image": pictures, "caption": [f"no {n}" for n in range(size)]}
            path = folder / f"{shard:03}.parquet"
            pq.write_table(pa.table(table), path, row_group_size=int(rng.integers(1, 9)))
        else:
            _write_tar(folder / f"{shard:03}.tar", shard, pictures)
    time.sleep(0.02)  # past the tick of the disk's clock in which they were written
    return folder


def _write_tar(path: Path, shard: int, pictures: list[bytes]) -> None:
    with tarfile.open(path, "w") as out:
        for n, picture in enumerate(pictures):
            for extension, content in (("jpg", picture), ("txt", b"no %d" % n)):
                member = tarfile.TarInfo(f"{shard:03}{n:05}.{extension}")
                member.size = len(content)
                out.addfile(member, io.BytesIO(content))
