"""Samples a second at the trainer: the stream against a bare loop and against webdataset.

All read the same tars, decode and augment with the same functions, tokenise, and use as many
processes. Baselines, in the same run: `bare`, processes that read, decode and augment and keep
nothing (the limit); `webdataset`, torch's DataLoader over webdataset with as many workers. They
take turns, and which is first changes. To reach: 0.85 of the limit, 1.2 of webdataset.

    python tests/benchmarks/bench_ingest.py [--where local|s3] [--samples 6000] [--repeats 3]
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import os
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from table import Row, run

from seedbed.data.corpus import Corpus
from seedbed.data.decode import decode
from seedbed.data.opening import OpenCorpus, open_corpus
from seedbed.data.order import Order
from seedbed.data.render import tokenizer
from seedbed.data.render.image import STANDARD_SLIP, sample_rng
from seedbed.data.render.render import Rendering
from seedbed.data.rounds import Span
from seedbed.data.shards.samples import read_shard
from seedbed.data.views import IMAGE, TEXT

TOY = ("--samples", "500", "--repeats", "1", "--epochs", "2")
NEEDS = ("ray",)
SIDE, SIZE, CONTEXT, BATCH, EACH = 256, 224, 77, 256, 500


def write_corpus(folder: Path, num_samples: int) -> None:
    """JPEGs like photographs: smooth shapes with grain, about 20 kB each."""
    rng = np.random.default_rng(0)
    for shard in range(num_samples // EACH):
        with tarfile.open(folder / f"{shard:05}.tar", "w") as tar:
            for n in range(EACH):
                coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
                grain = rng.integers(-12, 13, (SIDE, SIDE, 3))
                smooth = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
                out = io.BytesIO()
                pixels = np.clip(smooth + grain, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(out, "JPEG", quality=85)
                words = f"a picture of shape number {n} in shard {shard}"
                for name, content in (("jpg", out.getvalue()), ("txt", words.encode())):
                    member = tarfile.TarInfo(f"{shard:05}{n:05}.{name}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))


def one_sample(number: int, picture: bytes, side: int = 0) -> np.ndarray[Any, Any]:
    return STANDARD_SLIP(decode(picture, side), SIZE, sample_rng(0, number, 0, "image"))


def _bare(paths: list[str]) -> int:
    done = 0
    side = STANDARD_SLIP.needed_side(SIZE)
    for path in paths:
        for n, sample in enumerate(read_shard(path)):
            one_sample(n, sample.image(), side)
            tokenizer.encode([sample.caption("txt")], CONTEXT)
            done += 1
    return done


def bare(corpus: OpenCorpus, processes: int, epochs: int) -> float:
    """Samples/s of processes that keep nothing: what reading and decoding alone allow."""
    paths = list(corpus.train.paths) * max(1, epochs // 2)
    parts = [paths[n::processes] for n in range(processes)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pool.map(_bare, [[] for _ in parts])  # imports are not what is measured
        began = time.perf_counter()
        done = sum(pool.map(_bare, parts, chunksize=1))
        return done / (time.perf_counter() - began)


def _fields(sample: dict[str, Any]) -> tuple[Any, Any]:
    ids, _ = tokenizer.encode([sample["txt"].decode()], CONTEXT)
    side = STANDARD_SLIP.needed_side(SIZE)
    return one_sample(int(sample["__key__"][-5:]), sample["jpg"], side), ids[0]


def _opened(url: str, mode: str = "rb", bufsize: int = 0, **_: Any) -> io.BytesIO:
    from seedbed.storage.objects import read_object

    return io.BytesIO(read_object(url))


def webdataset(corpus: OpenCorpus, processes: int, epochs: int) -> float:
    import webdataset as wds
    from torch.utils.data import DataLoader

    wds.gopen_schemes["s3"] = _opened  # the same whole-shard read
    data = (
        wds.WebDataset(list(corpus.train.paths) * epochs, shardshuffle=100, empty_check=False)
        .shuffle(1000)
        .map(_fields)
        .batched(BATCH, partial=False)
    )
    loader = DataLoader(data, batch_size=None, num_workers=processes, prefetch_factor=2)
    return _rate(iter(loader), lambda batch: len(batch[0]))


def ours(corpus: OpenCorpus, processes: int, epochs: int) -> float:
    from seedbed.data.stream import stream

    order = Order(corpus.train.blocks, fingerprint="bench", seed=0, lanes=8, window_rows=1_024)
    rendering = Rendering(
        {IMAGE: STANDARD_SLIP},
        (TEXT,),
        SIZE,
        CONTEXT,
        "txt",
        seed=0,
        decode_side=STANDARD_SLIP.needed_side(SIZE),
    )
    steps = epochs * corpus.train.num_samples // BATCH
    batches = stream(
        corpus.train, order, Span(0, steps * BATCH, BATCH), rendering, num_tasks=processes
    )
    return _rate(batches, lambda batch: len(batch["id"]))


def _rate(batches: Iterator[Any], size: Callable[[Any], int]) -> float:
    """Samples/s of all but the first quarter: starting, and filling queues, is not counted."""
    came = [(0, time.perf_counter())]
    for batch in batches:
        came.append((came[-1][0] + size(batch), time.perf_counter()))
    first = next(point for point in came if point[0] >= came[-1][0] / 4)
    return (came[-1][0] - first[0]) / (came[-1][1] - first[1])


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--where", choices=("local", "s3"), default="local")
    parser.add_argument("--samples", type=int, default=6_000)
    parser.add_argument("--repeats", type=int, default=3)
    # What lies in queues when the clock starts must be little.
    parser.add_argument("--epochs", type=int, default=10, help="of the streams")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    from seedbed.cluster.connect import connect

    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "corpus"
        folder.mkdir()
        write_corpus(folder, options.samples)
        with _server(options.where, Path(root)) as reach:
            uri = str(folder)
            if reach:
                os.environ.update(reach)
                uri = _copied(folder)
            connect()
            corpus = open_corpus(Corpus(uri=uri, caption="txt"), Path(root) / "home")
            forms = {"bare": bare, "webdataset": webdataset, "ours": ours}
            found: dict[str, list[float]] = {name: [] for name in forms}
            for turn in range(options.repeats):
                names = list(forms)
                for name in names[turn % 3 :] + names[: turn % 3]:
                    found[name].append(forms[name](corpus, options.processes, options.epochs))
                    print(f"  turn {turn}  {name:<11}{found[name][-1]:>8.0f} samples/s", flush=True)
    middle = {name: statistics.median(rates) for name, rates in found.items()}
    print(f"{options.where}, {options.samples:,} JPEGs of {SIDE} px to {SIZE} px, ", end="")
    print(f"{options.processes} processes; medians of {options.repeats}:")
    for name, rate in middle.items():
        print(f"  {name:<11}{rate:>8.0f} samples/s")
    figure = f"the stream from {options.where}, samples/s"
    return [
        Row(figure, middle["ours"] / middle["bare"], "decoding alone", 0.85, at_least=True),
        Row(figure, middle["ours"] / middle["webdataset"], "webdataset", 1.2, at_least=True),
    ]


def _server(where: str, root: Path) -> Any:
    if where == "local":
        return nullcontext({})
    from seedbed_corpora.s3_server import serve

    (root / "seaweed").mkdir()
    return serve(root / "seaweed")


def _copied(folder: Path) -> str:
    from seedbed.storage.objects import write_object

    for path in sorted(folder.glob("*.tar")):
        write_object(f"s3://corpus/bench/{path.name}", path.read_bytes())
    return "s3://corpus/bench"


if __name__ == "__main__":
    run(main, TOY)
