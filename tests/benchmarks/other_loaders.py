"""The loaders that a stream is held against, each over the same pairs in as many processes."""

from __future__ import annotations

import io
import multiprocessing
import tarfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from photographs import as_arrays

from seedbed.data.shards.samples import read_shard

CHUNK_BYTES = "64MB"  # what LitData's manual writes


def _bare(paths: list[str]) -> int:
    done = 0
    for path in paths:
        for n, sample in enumerate(read_shard(path)):
            as_arrays(n, sample.image(), sample.caption("txt"))
            done += 1
    return done


def bare(paths: Sequence[str], processes: int) -> float:
    """Samples/s of processes that keep nothing: what reading and decoding alone allow."""
    parts = [list(paths[n::processes]) for n in range(processes)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pool.map(_bare, [[] for _ in parts])  # imports are not what is measured
        began = time.perf_counter()
        done = sum(pool.map(_bare, parts, chunksize=1))
        return done / (time.perf_counter() - began)


def _tensors(number: int, picture: bytes, caption: str) -> tuple[torch.Tensor, torch.Tensor]:
    """As tensors, which a DataLoader's workers give in shared memory, and arrays through a pipe."""
    pixels, ids = as_arrays(number, picture, caption)
    return torch.from_numpy(np.array(pixels)), torch.from_numpy(ids)


def _of_tar(sample: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    return _tensors(int(sample["__key__"][-5:]), sample["jpg"], sample["txt"].decode())


def _opened(url: str, mode: str = "rb", bufsize: int = 0, **_: Any) -> io.BytesIO:
    from seedbed.storage.objects import read_object

    return io.BytesIO(read_object(url))


def webdataset(paths: Sequence[str], processes: int, epochs: int, batch: int) -> Iterator[int]:
    """Rows of each batch of torch's DataLoader over webdataset, from the same tars."""
    import webdataset as wds
    from torch.utils.data import DataLoader

    wds.gopen_schemes["s3"] = _opened  # the same whole-shard read
    data = (
        wds.WebDataset(list(paths) * epochs, shardshuffle=100, empty_check=False)
        .shuffle(1000)
        .map(_of_tar)
        .batched(batch, partial=False)
    )
    loader = DataLoader(
        data,
        batch_size=None,
        num_workers=processes,
        prefetch_factor=2,
        multiprocessing_context="fork",  # LitData sets another for all
    )
    for pixels, _ in loader:
        yield len(pixels)


def _pairs(path: str) -> Iterator[dict[str, Any]]:
    with tarfile.open(path) as tar:
        members = [tar.extractfile(member).read() for member in tar]  # type: ignore[union-attr]
    for n, (picture, caption) in enumerate(zip(members[::2], members[1::2], strict=True)):
        yield {"number": n, "jpg": picture, "txt": caption.decode()}


def write_litdata(tars: Sequence[Path], folder: Path) -> None:
    """The pairs of `tars` in LitData's own chunks: the JPEGs as they are."""
    from litdata import optimize

    optimize(
        _pairs,
        [str(tar) for tar in tars],
        str(folder),
        num_workers=1,
        chunk_bytes=CHUNK_BYTES,
        verbose=False,
    )


def _of_chunk(sample: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    return _tensors(sample["number"], sample["jpg"], sample["txt"])


def litdata(uri: str, cache: Path, processes: int, epochs: int, batch: int) -> Iterator[int]:
    """Rows of each batch of LitData's own loader, shuffled.

    What it has read from a bucket it keeps in `cache`, and reads no second time.
    """
    from litdata import StreamingDataLoader, StreamingDataset
    from litdata.streaming import downloader

    # It has no setting for a server without TLS.
    downloader._OBSTORE_CLIENT_OPTIONS["allow_http"] = True
    data = StreamingDataset(uri, cache_dir=str(cache), shuffle=True, transform=_of_chunk)
    loader = StreamingDataLoader(
        data,
        batch_size=batch,
        num_workers=processes,
        prefetch_factor=2,
        multiprocessing_context="fork",
        persistent_workers=True,
    )
    for _ in range(epochs):
        for pixels, _ in loader:
            yield len(pixels)
