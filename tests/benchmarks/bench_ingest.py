"""Samples a second at the trainer: the stream against a bare loop, webdataset and LitData.

All read the same JPEGs, decode and augment with the same functions, tokenise, give uint8 pixels,
and use as many processes; from a folder, and from a real S3 server. Baselines, in the same run:
`bare`, processes that read, decode and augment and keep nothing (the limit); `webdataset`, torch's
DataLoader over webdataset; `litdata`, LitData's loader over its own chunks, from a bucket in its
first epoch alone, since later ones it reads from its cache on disk. They take turns, and which is
first changes. To reach: 0.9 of the limit, 1.2 of webdataset, 1 of LitData.

    python tests/benchmarks/bench_ingest.py [--where local s3] [--samples 6000] [--repeats 2]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from other_loaders import bare, litdata, webdataset, write_litdata
from photographs import CONTEXT, SIDE, SIZE, write_corpus
from table import Row, run

from seedbed.data.corpus import Corpus
from seedbed.data.opening import OpenCorpus, open_corpus
from seedbed.data.order import Order
from seedbed.data.render.image import STANDARD_SLIP
from seedbed.data.render.render import Rendering
from seedbed.data.rounds import Span
from seedbed.data.views import IMAGE, TEXT

TOY = ("--samples", "500", "--repeats", "1", "--epochs", "2")
NEEDS = ("ray", "s3")
BATCH = 256
LANES, WINDOW_ROWS = 8, 256  # rounds as large as those of one of eight workers at the paper's size
MORE = 2  # epochs that follow what is counted


def ours(corpus: OpenCorpus, processes: int, epochs: int) -> Iterator[int]:
    from seedbed.data.stream import stream

    order = Order(
        corpus.train.blocks, fingerprint="bench", seed=0, lanes=LANES, window_rows=WINDOW_ROWS
    )
    rendering = Rendering(
        {IMAGE: STANDARD_SLIP},
        (TEXT,),
        SIZE,
        CONTEXT,
        "txt",
        seed=0,
        decode_side=STANDARD_SLIP.needed_side(SIZE),
    )
    span = Span(0, epochs * corpus.train.num_samples // BATCH * BATCH, BATCH)
    for columns in stream(corpus.train, order, span, rendering, num_tasks=processes):
        yield len(columns["id"])


def rate(batches: Iterator[int], rows: int) -> float:
    """Samples/s from a quarter of `rows` on: starting, and filling queues, is not counted.

    The loader goes on beyond them, so that at the end its queues are as full as when the clock
    started.
    """
    came = [(0, time.perf_counter())]
    for size in batches:
        came.append((came[-1][0] + size, time.perf_counter()))
        if came[-1][0] >= rows:
            break
    batches.close()  # type: ignore[attr-defined]
    first = next(point for point in came if point[0] >= rows / 4)
    return (came[-1][0] - first[0]) / (came[-1][1] - first[1])


def _rate_of_litdata(uri: str, cache: str, processes: int, epochs: int, rows: int) -> float:
    return rate(litdata(uri, Path(cache), processes, epochs, BATCH), rows)


def measure(where: str, root: Path, options: argparse.Namespace) -> dict[str, float]:
    """Samples/s of every form, from a folder or a bucket: medians of its turns."""
    tars, chunks, processes = root / "corpus", root / "chunks", options.processes
    uris = [str(tars), str(chunks)]
    if where == "s3":
        uris = [_copied(folder) for folder in (tars, chunks)]
    corpus = open_corpus(Corpus(uri=uris[0], caption="txt"), root / f"home-{where}")
    paths = list(corpus.train.paths)
    rows = options.epochs * options.samples
    epochs = options.epochs + MORE

    def of_litdata() -> float:
        # In a process of its own: what it starts would live on beside whoever is measured next.
        with (
            tempfile.TemporaryDirectory(dir=root) as cache,
            ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as own,
        ):
            # From a bucket its first epoch counts: later ones it reads from its cache.
            its = rows if where == "local" else options.samples
            return own.submit(_rate_of_litdata, uris[1], cache, processes, epochs, its).result()

    forms: dict[str, Callable[[], float]] = {
        "bare": lambda: bare(paths * max(1, options.epochs // 2), processes),
        "webdataset": lambda: rate(webdataset(paths, processes, epochs, BATCH), rows),
        "litdata": of_litdata,
        "ours": lambda: rate(ours(corpus, processes, epochs), rows),
    }
    found: dict[str, list[float]] = {name: [] for name in forms}
    for turn in range(options.repeats):
        # Each follows another in each turn.
        names, first = list(forms)[:: 1 if turn % 2 == 0 else -1], turn // 2 % len(forms)
        for name in names[first:] + names[:first]:
            found[name].append(forms[name]())
            print(f"  turn {turn}  {name:<11}{found[name][-1]:>8.0f} samples/s", flush=True)
    return {name: statistics.median(rates) for name, rates in found.items()}


def _server(where: str, root: Path) -> Any:
    if where == "local":
        return nullcontext({})
    from seedbed_local.s3 import serve

    (root / "seaweed").mkdir()
    return serve(root / "seaweed")


def _copied(folder: Path) -> str:
    from seedbed.storage.objects import write_object

    uri = f"s3://corpus/{folder.name}"
    for path in sorted(folder.iterdir()):
        write_object(f"{uri}/{path.name}", path.read_bytes())
    return uri


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    places = ("local", "s3")
    parser.add_argument("--where", nargs="+", choices=places, default=places)
    parser.add_argument("--samples", type=int, default=6_000)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=6, help="of the loaders; of `bare` half")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    from seedbed.cluster.connect import connect

    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "corpus").mkdir()
        write_corpus(root / "corpus", options.samples)
        write_litdata(sorted((root / "corpus").glob("*.tar")), root / "chunks")
        with _server("s3" if "s3" in options.where else "local", root) as reach:
            os.environ.update(reach)
            connect()
            for where in options.where:
                middle = measure(where, root, options)
                print(f"{where}, {options.samples:,} JPEGs of {SIDE} px to {SIZE} px, ", end="")
                print(f"{options.processes} processes; medians of {options.repeats}:")
                for name, found in middle.items():
                    print(f"  {name:<11}{found:>8.0f} samples/s", flush=True)
                figure = f"the stream from {where}, samples/s"
                rows += [
                    Row(figure, middle["ours"] / middle[name], baseline, goal, at_least=True)
                    for name, baseline, goal in (
                        ("bare", "decoding alone", 0.9),
                        ("webdataset", "webdataset", 1.2),
                        ("litdata", "litdata", 1.0),
                    )
                ]
    return rows


if __name__ == "__main__":
    run(main, TOY)
