"""What of a step is not training, on the thread that trains: the feed, copies, the exchange.

A cohort of four equal variants trains through the real feed, as one worker and as a mesh of two
that exchange their halves of every batch, of batches that are rendered beforehand: the feed keeps
ahead, so that what it still costs the step is its own. Baseline, in the same run: the wall time of
the steps. To reach: at most 5 % of it goes to anything but the variants' own steps.

    python tests/benchmarks/bench_feed.py [--batch 256] [--size 64] [--steps 40] [--device cuda]
"""

from __future__ import annotations

import argparse
import itertools
import os
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from table import Row, run

from seedbed.data.render.render import Columns
from seedbed.plan.cohort import Cohort
from seedbed.plan.plan import plan
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import SCALES
from seedbed.run.worker.cohort import CohortTraining
from seedbed.run.worker.feed import Feed
from seedbed.run.worker.mesh import Mesh
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.variants import CLIP

TOY = ("--batch", "16", "--size", "32", "--steps", "6", "--warm", "2")
NEEDS = ()
VARIANTS, HELD = 4, 4  # batches that come round again
STEPS = 4_000  # of the budget, as at the scale `small`: it says how often losses are collected


def cohort_of(options: argparse.Namespace) -> Cohort:
    """Variants that cost the same: they differ in learning rate alone."""
    study = Study(
        name="feed",
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("lr", at="optimizer.lr", levels=[n * 1e-4 for n in range(1, 5)]),),
        responses=("zeroshot/top1",),
        seeds=1,
    )
    settings = {
        "image.size": options.size,
        "budget.batch": options.batch,
        "budget.samples": options.batch * STEPS,
        "budget.warmup_samples": 0,
    }
    whole = plan(study, SCALES["demo"], overrides=settings, cohort_size=VARIANTS)
    return Cohort(whole.trials)


def columns_of(recipe: Recipe, rows: int, seed: int) -> Columns:
    rng = np.random.default_rng(seed)
    size, context = recipe.image.size, recipe.text.context
    return {
        "image": rng.integers(0, 256, (rows, size, size, 3), dtype=np.uint8),
        "text": rng.integers(1, 49_000, (rows, context), dtype=np.int32),
        "text_length": np.full(rows, context, np.int32),
        "id": np.arange(rows) + seed * rows,
        "fault": np.full(rows, "", dtype=object),
    }


def work(rank: int, world: int, port: int, options: argparse.Namespace, folder: str) -> None:
    """One worker of a mesh of `world` variants' shares: the loop of `run/worker/rank.py`."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // world))
    if world > 1:
        dist.init_process_group("gloo", rank=rank, world_size=world)
    mesh, cohort, device = Mesh(rank, world), cohort_of(options), torch.device(options.device)
    training = CohortTraining(cohort, device, mesh.mine(cohort.trials, lambda _: 1.0))
    held = [
        columns_of(cohort.recipe, options.batch // world, n * world + rank) for n in range(HELD)
    ]

    def columns() -> Iterator[Columns]:
        yield from itertools.islice(itertools.cycle(held), options.warm + options.steps)

    def trained() -> float:
        return sum(variant.clock.total_seconds for variant in training.variants.values())

    with Feed(columns(), lambda c: training.prepare(mesh.exchange(c)), device) as feed:
        for batch in feed:
            training.step(batch)
            if training.is_due:
                training.collect()
            if training.step_number == options.warm:
                training.collect()  # a GPU has done what it was told
                own, waited, began = trained(), feed.waited, time.perf_counter()
        training.collect()
        whole = time.perf_counter() - began
        told = [whole, trained() - own, feed.waited - waited]
    np.save(Path(folder) / f"{rank}.npy", told)
    if world > 1:
        dist.destroy_process_group()


def on_mesh(world: int, options: argparse.Namespace) -> float:
    """The share that is not training, of the worker that trains longest.

    It sets the pace: the others wait for it in the exchange, which is the layout's doing.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        # On a GPU workers may not be forked; on CPUs they need not import all anew.
        how = "fork" if options.device == "cpu" else "spawn"
        arguments = (world, port, options, folder)
        mp.start_processes(work, args=arguments, nprocs=world, start_method=how)
        told = [np.load(Path(folder) / f"{rank}.npy") for rank in range(world)]
    shares = {}
    for rank, (whole, own, waited) in enumerate(told):
        share = 1 - own / whole
        print(
            f"V = {world}, worker {rank}: {whole / options.steps:.4f} s a step, {share:.1%} of it "
            f"not training, {waited / whole:.1%} waiting for the feed",
            flush=True,
        )
        shares[own] = share
    return shares[max(shares)]


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--warm", type=int, default=5, help="steps that are not counted")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    options = parser.parse_args(arguments)
    figure = "of a step not training, V = {}"
    return [Row(figure.format(v), on_mesh(v, options), "the step", 0.05) for v in (1, 2)]


if __name__ == "__main__":
    run(main, TOY)
