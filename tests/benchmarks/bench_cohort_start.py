"""What a cohort costs to start, and what each further variant in it adds.

Baseline, in the same run: one Ray Train TorchTrainer for each trial under Ray Tune, fed by
`ray.data.read_parquet`, with the same model, batch and steps. Each is the first thing in a Ray of
its own, the baseline in one as `ray.init` starts it; starting that is not measured, nor are
training steps. To reach: start at most 0.7 of such a trainer, a further variant at most 0.02.

    python tests/benchmarks/bench_cohort_start.py [--variants 8] [--cohorts 4] [--repeats 3]
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray
import ray.data
import ray.train
import ray.tune
import torch
from PIL import Image
from ray.train.torch import TorchTrainer
from ray.tune.integration.ray_train import TuneReportCallback

sys.path.insert(0, str(Path(__file__).parents[1]))
from table import Row, run

from conftest import shape_shards
from seedbed import Factor, Recipe, Study
from seedbed.cluster.asked import Asked
from seedbed.cluster.connect import authenticate, connect
from seedbed.data.opening import open_corpora
from seedbed.data.render import tokenizer
from seedbed.data.shards.samples import read_shard
from seedbed.model.pretrainer import Pretrainer
from seedbed.plan.cohort import cohorts_of
from seedbed.plan.plan import Plan, plan
from seedbed.recipe.scale import SCALES
from seedbed.run.driver.launch import run_plan
from seedbed.storage.folder import Folder
from seedbed.track.ledger import InMemoryLedger
from seedbed.variants import CLIP

TOY = ("--variants", "1", "--cohorts", "2", "--repeats", "1", "--cold")
NEEDS = ("ray",)
STEPS, BATCH = 4, 64


def study_plan(shapes: Path, num_variants: int, cohort_size: int) -> Plan:
    """`num_variants` variants of one stream: they differ in learning rate alone."""
    rates = [1e-3 + i * 1e-5 for i in range(max(2, num_variants))]
    study = Study(
        name="start",
        question="What does a cohort cost to start?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("lr", at="optimizer.lr", levels=rates),),
    )
    settings = {
        "corpus.uri": str(shapes),
        "corpus.caption": "txt",
        "budget.samples": STEPS * BATCH,
        "budget.warmup_samples": BATCH,
    }
    whole = plan(study, SCALES["smoke"], overrides=settings, seeds=(0,))
    trials = whole.trials[:num_variants]
    cohorts = cohorts_of(trials, cohort_size=cohort_size)
    return Plan(study, whole.scale, "", whole.overrides, trials, cohorts)


def cohort(shapes: Path, num_variants: int, cohort_size: int = 0) -> tuple[float, float]:
    """Seconds of a study of `num_variants`, in one cohort or several, and of its training steps."""
    what = study_plan(shapes, num_variants, cohort_size or num_variants)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        corpora = open_corpora([what.trials[0].recipe.corpus], Path(folder))
        outcome = run_plan(
            what,
            corpora,
            Folder(folder),
            InMemoryLedger(),
            asked=Asked(1),
            checkpoint_seconds=30,
            code_version={"seedbed": "bench", "git_commit": ""},
        )
        seconds = time.perf_counter() - began
    assert not outcome.missing(what.trials), outcome.reasons
    return seconds, sum(
        r.metrics["cost/train_seconds"] + r.metrics["cost/startup_seconds"]
        for r in outcome.records.values()
    )


def write_parquet(shapes: Path, folder: Path) -> None:
    samples = [s for path in sorted(shapes.glob("*.tar")) for s in read_shard(str(path))]
    table = pa.table(
        {"png": [s.image() for s in samples], "caption": [s.caption("txt") for s in samples]}
    )
    pq.write_table(table, folder / "shapes.parquet")


def decode(batch: dict[str, Any], context: int) -> dict[str, Any]:
    pictures = [Image.open(io.BytesIO(b)).convert("RGB").resize((32, 32)) for b in batch["png"]]
    ids, lengths = tokenizer.encode([str(c) for c in batch["caption"]], context)
    return {
        "image": np.stack([np.asarray(p) for p in pictures]),
        "text": ids,
        "text_length": lengths,
    }


def plain_loop(config: dict[str, Any]) -> None:
    torch.set_num_threads(2)
    recipe: Recipe = config["recipe"]
    model = Pretrainer(recipe.image, recipe.text, CLIP, embed_dim=recipe.embed_dim, seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    shard = ray.train.get_dataset_shard("train")
    seconds, steps = 0.0, 0
    while steps < STEPS:
        for columns in shard.iter_batches(batch_size=BATCH, batch_format="numpy"):
            began = time.perf_counter()
            batch = {name: torch.from_numpy(np.array(column)) for name, column in columns.items()}
            optimizer.zero_grad()
            model(batch)["loss"].backward()
            optimizer.step()
            seconds += time.perf_counter() - began
            steps += 1
            if steps == STEPS:
                break
    ray.train.report({"train_seconds": seconds})


def trainer(parquet: Path, recipe: Recipe, scratch: Path) -> tuple[float, float]:
    """Seconds of one plain TorchTrainer under Tune, and of its training steps."""

    def one(config: dict[str, Any]) -> None:
        data = ray.data.read_parquet(str(parquet)).map_batches(
            decode, batch_size=BATCH, fn_kwargs={"context": recipe.text.context}
        )
        TorchTrainer(
            plain_loop,
            train_loop_config={"recipe": recipe},
            datasets={"train": data},
            scaling_config=ray.train.ScalingConfig(num_workers=1),
            run_config=ray.train.RunConfig(
                storage_path=str(scratch / "train"), callbacks=[TuneReportCallback()]
            ),
        ).fit()

    began = time.perf_counter()
    results = ray.tune.Tuner(
        ray.tune.with_resources(one, {"memory": 100e6}),
        run_config=ray.tune.RunConfig(storage_path=str(scratch / "tune"), verbose=0),
    ).fit()
    return time.perf_counter() - began, float(results[0].metrics["train_seconds"])


@contextmanager
def own_ray(*, plain: bool = False) -> Iterator[None]:
    """A Ray as our commands have it, or a `plain` one, as who writes the baseline would."""
    kept = dict(os.environ)
    try:
        if plain:
            # Where the terminal's lines go makes no difference to what is measured.
            os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
            authenticate(None)
            ray.init(address="local", include_dashboard=False, log_to_driver=False)
        else:
            connect()
        yield
    finally:
        ray.shutdown()
        os.environ.clear()
        os.environ.update(kept)


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variants", type=int, default=8, help="1: further ones are left out")
    parser.add_argument("--cohorts", type=int, default=4, help="of one variant, one after another")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cold", action="store_true", help="without a start that is not counted")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        shapes = shape_shards(Path(folder) / "shapes", 512)
        write_parquet(shapes, Path(folder))
        parquet = Path(folder) / "shapes.parquet"
        recipe = study_plan(shapes, 1, 1).trials[0].recipe
        if not options.cold:  # once uncounted, for the caches of the disk
            with own_ray():
                cohort(shapes, 1)
        found: dict[str, list[float]] = {
            "trainer": [],
            "start": [],
            "further": [],
            "next": [],
        }
        for turn in range(options.repeats):
            with own_ray(plain=True):
                whole, steps = trainer(parquet, recipe, Path(folder) / str(turn))
            found["trainer"].append(whole - steps)
            with own_ray():
                one, one_steps = cohort(shapes, 1)
            found["start"].append(one - one_steps)
            if options.variants > 1:
                with own_ray():
                    many, many_steps = cohort(shapes, options.variants)
                further = many - many_steps - (one - one_steps)
                found["further"].append(further / (options.variants - 1))
            with own_ray():
                several, several_steps = cohort(shapes, options.cohorts, cohort_size=1)
            more = several - several_steps - (one - one_steps)
            found["next"].append(more / (options.cohorts - 1))
    seconds = {name: statistics.median(values) for name, values in found.items() if values}
    print(f"without training steps, s: {seconds}")
    goals = {
        "start": ("start of a cohort", 0.7),
        "further": ("each further variant", 0.02),
        "next": ("each further cohort of a worker group", 0.1),
    }
    base = seconds.pop("trainer")
    return [
        Row(figure, seconds[name] / base, "a TorchTrainer for each trial", goal)
        for name, (figure, goal) in goals.items()
        if name in seconds
    ]


if __name__ == "__main__":
    run(main, TOY)
