"""The wall time of the demo study.

Baseline, in the same run: the sum of as many plain single-process loops, each a process of its
own that reads, decodes, trains and evaluates one trial's batches with as many torch threads.
To reach: 0.7 of that sum: a study decodes once for a whole cohort, and its workers start once. A
quarter of the demo's budget by default: the loops alone take a quarter of an hour at all of it.

    python tests/benchmarks/bench_demo_study.py [--samples N] [--seeds N] [--loops N] [--shapes]
"""

from __future__ import annotations

import argparse
import os
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from seedbed.data.opening import open_corpus
from seedbed.data.render.render import Columns, render_span, render_test_set
from seedbed.data.rounds import Span
from seedbed.evaluate.task import Pairs
from seedbed.evaluate.tasks import all_tasks
from seedbed.home import home
from seedbed.model.pretrainer import Pretrainer
from seedbed.plan.cohort import Cohort
from seedbed.plan.rendering import rendering_of
from seedbed.recipe.scale import DEMO
from seedbed.run.worker.batch import make_batch
from seedbed.run.worker.reading import order_of
from seedbed.study.study import Study
from seedbed.study.trial import Trial
from seedbed_corpora import prepare

sys.path.insert(0, str(Path(__file__).parents[1]))
from table import Row, run

from conftest import shape_shards

TOY = ("--samples", "128", "--seeds", "1", "--loops", "1", "--shapes")
NEEDS = ("ray",)
ROOT = Path(__file__).parents[2]
STUDY = ROOT / "studies" / "text_encoder_depth.py"


def trials(samples: int, seeds: int, data: str) -> tuple[Trial, ...]:
    study: Study = runpy.run_path(str(STUDY))["study"]
    return study.trials(DEMO, overrides=settings(samples, data), seeds=tuple(range(seeds)))


def settings(samples: int, data: str) -> dict[str, object]:
    """What both the study and the loops are told; the warm-up is the demo's part of the budget."""
    part = DEMO.patches["budget.warmup_samples"] / DEMO.patches["budget.samples"]
    found: dict[str, object] = {"budget.samples": samples}
    found |= {"budget.warmup_samples": int(part * samples)}
    return found | ({"corpus.uri": data, "corpus.caption": "txt"} if data else {})


def plain_loop(trial: Trial) -> None:
    """One trial in one process: no Ray, no cohort, no tracking."""
    torch.set_num_threads(os.cpu_count() or 1)
    recipe, alone = trial.recipe, Cohort((trial,))
    corpus = open_corpus(recipe.corpus, home())
    order, rendering = order_of(corpus, recipe), rendering_of(alone)
    model = Pretrainer(
        recipe.image, recipe.text, recipe.objective, embed_dim=recipe.embed_dim, seed=recipe.seed
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.optimizer.lr, fused=True)
    batch = recipe.budget.batch
    span = Span(0, recipe.budget.steps * batch, batch)
    device, rest = torch.device("cpu"), dict[str, object]()
    for part in render_span(corpus.train, order, span, rendering, 1024):
        rest = {n: np.concatenate([rest[n], part[n]]) for n in part} if rest else part
        while rest and len(rest["id"]) >= batch:  # type: ignore[arg-type]
            columns: Columns = {n: c[:batch] for n, c in rest.items()}  # type: ignore[index]
            rest = {n: c[batch:] for n, c in rest.items()}  # type: ignore[index]
            optimizer.zero_grad()
            model(make_batch(columns, recipe, device).tensors)["loss"].backward()
            optimizer.step()
            model.clamp()
    test = render_test_set(corpus.test, rendering)
    names = tuple(sorted(set(test.captions)))
    pairs = Pairs(test.images, test.captions, test.ids, names, rendering.context)
    for task in all_tasks():
        task.run(model, task.prepare(pairs))


def timed(*command: str, environment: dict[str, str] | None = None) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, env=environment, capture_output=True)
    return time.perf_counter() - began


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=DEMO.patches["budget.samples"] // 4)
    parser.add_argument("--seeds", type=int, default=DEMO.num_seeds)
    parser.add_argument("--loops", type=int, help="run only so many, for all (all)")
    parser.add_argument("--shapes", action="store_true", help="drawn shapes, not the demo corpus")
    parser.add_argument("--data", default="", help=argparse.SUPPRESS)
    parser.add_argument("--loop", metavar="KEY", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.loop:
        chosen = trials(options.samples, options.seeds, options.data)
        plain_loop(next(trial for trial in chosen if trial.key == options.loop))
        sys.exit()
    with tempfile.TemporaryDirectory() as folder:
        data, state = "", Path(folder) / "home"
        state.mkdir()
        if options.shapes:
            data = str(shape_shards(Path(folder) / "shapes", 512))
        else:
            prepare("emoji", home())
            (state / "corpora").symlink_to(home() / "corpora")
        chosen = trials(options.samples, options.seeds, data)
        size = ("--samples", str(options.samples), "--seeds", str(options.seeds), "--data", data)
        environment = os.environ | {"SEEDBED_HOME": str(state)}
        given = ["--seeds", str(options.seeds)]
        for name, value in settings(options.samples, data).items():
            given += ["--set", f"{name}={value}"]
        study = timed(str(STUDY), *given, environment=environment)
        loops = [
            timed(__file__, *size, "--loop", trial.key, environment=environment)
            for trial in chosen[: options.loops]
        ]
    base = sum(loops) * len(chosen) / len(loops)
    print(f"{len(chosen)} demo trials of {options.samples:,} samples")
    print(f"  baseline: as many plain loops, one after the other  {base:6.0f} s")
    print(f"  the study                                           {study:6.0f} s")
    return [Row("the demo study, time", study / base, "a plain loop for each trial", 0.7)]


if __name__ == "__main__":
    run(main, TOY)
