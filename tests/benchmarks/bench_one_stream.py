"""K variants on one stream, against a stream for each and against one that TensorSocket shares.

Samples x variants a second, where decoding is the limit: PNGs of 512 px shown at 32 px to the
smallest towers. Baselines, in the same run: the same variants trained one after the other, each on
a stream of its own; and all at a time, each in a process of its own on one producer of
TensorSocket, which renders the same batches in as many processes. Against the first one process
trains all variants; against the second a mesh of two workers does, each on its half of the stream.
They take turns. To reach: 0.8 K for K = 4, and 1, on identical batches: the hashes of the orders
are compared.

    python tests/benchmarks/bench_one_stream.py [--variants 4] [--samples 2000] [--repeats 3]
"""

from __future__ import annotations

import argparse
import io
import os
import socket
import statistics
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import ray
import torch
import torch.distributed as dist
from PIL import Image
from table import Row, run
from tensorsocket_trial import Trained, train_by_tensorsocket

from seedbed.data.opening import OpenCorpus, open_corpus
from seedbed.data.rounds import Span
from seedbed.plan.cohort import Cohort
from seedbed.plan.plan import plan
from seedbed.plan.rendering import rendering_of
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import SCALES
from seedbed.run.worker.cohort import CohortTraining
from seedbed.run.worker.feed import Feed
from seedbed.run.worker.mesh import Mesh
from seedbed.run.worker.reading import order_of
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.variants import CLIP

TOY = ("--variants", "2", "--samples", "400", "--repeats", "1", "--steps", "8")
NEEDS = ("ray",)
EACH, SIDE, BATCH = 200, 512, 64
LANES, WINDOW_ROWS = 8, 64  # rounds of 512 rows: what lies in queues is little of the whole
WORKERS, MORE = 2, 16  # of the mesh; steps that follow what is counted


def write_corpus(folder: Path, num_samples: int) -> None:
    rng = np.random.default_rng(0)
    for shard in range(num_samples // EACH):
        with tarfile.open(folder / f"{shard:05}.tar", "w") as tar:
            for n in range(EACH):
                coarse = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
                out = io.BytesIO()
                coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(
                    out, "PNG", compress_level=1
                )
                for name, content in (("png", out.getvalue()), ("txt", b"shape %d" % n)):
                    member = tarfile.TarInfo(f"{shard:05}{n:05}.{name}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))


def cohort_of(folder: Path, num_variants: int, samples: int) -> Cohort:
    study = Study(
        name="one_stream",
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("lr", at="optimizer.lr", levels=[n * 1e-4 for n in range(1, 9)]),),
        responses=("zeroshot/top1",),
        seeds=1,
    )
    settings = {
        "corpus.uri": str(folder),
        "corpus.caption": "txt",
        "image.name": "test_vit",
        "image.size": 32,
        "text.layers": 1,
        "corpus.lanes": LANES,
        "corpus.window_rows": WINDOW_ROWS,
        "budget.batch": BATCH,
        "budget.samples": samples // BATCH * BATCH,
        "budget.warmup_samples": 0,
    }
    whole = plan(study, SCALES["smoke"], overrides=settings, cohort_size=8)
    return Cohort(whole.trials[:num_variants])


def train(corpus: OpenCorpus, cohort: Cohort) -> int:
    """Samples x variants of a whole run."""
    from seedbed.data.stream import stream

    training = CohortTraining(cohort, torch.device("cpu"))
    span = Span(0, cohort.samples, cohort.recipe.budget.batch)
    order = order_of(corpus, cohort.recipe)
    for columns in stream(corpus.train, order, span, rendering_of(cohort), num_tasks=2):
        training.step(training.prepare(columns))
        if not training.active:
            break
    return cohort.samples * len(cohort.trials)


@ray.remote(num_cpus=0)
class Worker:
    """One worker of a mesh, as a study starts them: it reads its lanes, and exchanges."""

    def train(
        self, rank: int, port: int, corpus: OpenCorpus, cohort: Cohort, steps: int
    ) -> Trained:
        from seedbed.data.stream import stream

        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        torch.set_num_threads(1)
        dist.init_process_group("gloo", rank=rank, world_size=WORKERS)
        mesh, device = Mesh(rank, WORKERS), torch.device("cpu")
        training = CohortTraining(cohort, device, mesh.mine(cohort.trials, lambda _: 1.0))
        span = Span(0, (steps + MORE) * BATCH, BATCH, rank, WORKERS)
        order, rendering = order_of(corpus, cohort.recipe), rendering_of(cohort)
        batches = stream(corpus.train, order, span, rendering)
        at = []
        with Feed(batches, lambda c: training.prepare(mesh.exchange(c)), device) as feed:
            for batch in feed:
                at.append(time.perf_counter())
                training.step(batch)
                if training.step_number == steps:
                    break
            at.append(time.perf_counter())
        training.collect()
        dist.destroy_process_group()
        return Trained(tuple(at), training.order_hash)


def train_on_mesh(corpus: OpenCorpus, cohort: Cohort, steps: int) -> list[Trained]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    workers = [Worker.remote() for _ in range(WORKERS)]  # type: ignore[attr-defined]
    asked = [w.train.remote(n, port, corpus, cohort, steps) for n, w in enumerate(workers)]
    told: list[Trained] = ray.get(asked)
    for worker in workers:
        ray.kill(worker)
    return told


def rate_of(told: Sequence[Trained], num_variants: int) -> float:
    """Samples x variants/s of all but the first quarter, by the last of the processes."""
    steps = len(told[0].at) - 1
    begun, ended = (max(one.at[n] for one in told) for n in (steps // 4, steps))
    return num_variants * BATCH * (steps - steps // 4) / (ended - begun)


def against_tensorsocket(
    corpus: OpenCorpus, cohort: Cohort, steps: int, repeats: int
) -> dict[str, float]:
    """Samples x variants/s of the mesh and of TensorSocket: medians of their turns."""
    forms = {
        "mesh": lambda: train_on_mesh(corpus, cohort, steps),
        "tensorsocket": lambda: train_by_tensorsocket(corpus, cohort, steps, WORKERS),
    }
    rates: dict[str, list[float]] = {name: [] for name in forms}
    hashes: dict[str, set[str]] = {name: set() for name in forms}
    for turn in range(repeats):
        for name in list(forms)[:: 1 if turn % 2 else -1]:
            told = forms[name]()
            rates[name].append(rate_of(told, len(cohort.trials)))
            hashes[name] |= {one.order_hash for one in told}
    assert len(hashes["mesh"]) == 1, "the workers of a mesh have seen different batches"
    same = "the same" if hashes["tensorsocket"] == hashes["mesh"] else "other"
    print(f"the processes of TensorSocket have seen {same} batches in the same order as the mesh")
    return {name: statistics.median(found) for name, found in rates.items()}


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variants", type=int, default=4)
    parser.add_argument("--samples", type=int, default=2_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=0, help="beside TensorSocket (an epoch)")
    options = parser.parse_args(arguments)
    from seedbed.cluster.connect import connect

    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "corpus"
        folder.mkdir()
        write_corpus(folder, options.samples)
        connect()
        together = cohort_of(folder, options.variants, options.samples)
        apart = [Cohort((trial,)) for trial in together.trials]
        corpus = open_corpus(together.recipe.corpus, Path(root))
        torch.set_num_threads(1)
        train(corpus, apart[0])  # Ray's workers start, and import
        rates: dict[str, list[float]] = {"together": [], "apart": []}
        for turn in range(options.repeats):
            for name in ("together", "apart")[:: 1 if turn % 2 else -1]:
                began = time.perf_counter()
                done = sum(train(corpus, c) for c in ([together] if name == "together" else apart))
                rates[name].append(done / (time.perf_counter() - began))
        steps = options.steps or options.samples // BATCH
        shared = against_tensorsocket(corpus, together, steps, options.repeats)
    one, many = (statistics.median(rates[name]) for name in ("together", "apart"))
    print(f"{options.variants} variants on one stream   {one:,.0f} samples x variants/s")
    print(f"{options.variants} streams of one variant   {many:,.0f} samples x variants/s")
    print(f"{options.variants} variants on a mesh of {WORKERS}    {shared['mesh']:,.0f}")
    print(f"{options.variants} processes of TensorSocket  {shared['tensorsocket']:,.0f}")
    figure, goal = f"{options.variants} variants on one stream, rate", 0.8 * options.variants
    meshed = f"{options.variants} variants on a mesh of {WORKERS}, rate"
    over = f"{options.variants} processes on a TensorSocket"
    return [
        Row(figure, one / many, "a stream for each", goal, at_least=True),
        Row(meshed, shared["mesh"] / shared["tensorsocket"], over, 1.0, at_least=True),
    ]


if __name__ == "__main__":
    run(main, TOY)
