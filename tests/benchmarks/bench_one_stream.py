"""K variants on one stream against K streams of one variant each, where decoding is the limit.

Samples x variants a second. Baseline, in the same run: the same variants trained one after the
other, each on a stream of its own. Pictures are PNGs of 512 px shown at 32 px to the smallest
towers, so that nearly all time goes to decoding. They take turns. To reach: 0.8 K for K = 4.

    python tests/benchmarks/bench_one_stream.py [--variants 4] [--samples 2000] [--repeats 3]
"""

from __future__ import annotations

import argparse
import io
import statistics
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from table import Row, run

from seedbed.data.opening import OpenCorpus, open_corpus
from seedbed.data.rounds import Span
from seedbed.plan.plan import Cohort, plan
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import SCALES
from seedbed.run.worker.cohort import CohortTraining, order_of, rendering_of
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.variants import CLIP

TOY = ("--variants", "2", "--samples", "400", "--repeats", "1")
NEEDS = ("ray",)
EACH, SIDE = 200, 512


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
        "budget.batch": 64,
        "budget.samples": samples // 64 * 64,
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


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variants", type=int, default=4)
    parser.add_argument("--samples", type=int, default=2_000)
    parser.add_argument("--repeats", type=int, default=3)
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
    one, many = (statistics.median(rates[name]) for name in ("together", "apart"))
    print(f"{options.variants} variants on one stream   {one:,.0f} samples x variants/s")
    print(f"{options.variants} streams of one variant   {many:,.0f} samples x variants/s")
    figure, goal = f"{options.variants} variants on one stream, rate", 0.8 * options.variants
    return [Row(figure, one / many, "a stream for each", goal, at_least=True)]


if __name__ == "__main__":
    run(main, TOY)
