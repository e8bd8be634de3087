"""The wall time of a cohort whose variants two workers share, over that of one worker's.

Variants at the demo's sizes on one stream: two workers read half of it each, exchange what they
read, and train half of the variants each: how a study is laid out here by itself. The whole run
counts, from opening the corpus to the last record, with the start of the workers. Baseline, in the
same run and in turns: one worker, with as many threads as the two have together. To reach: 0.75 on
two cores, on identical batches: the hashes of the orders are compared.

    python tests/benchmarks/bench_mesh.py [--variants 8] [--samples 10240] [--repeats 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray

sys.path.insert(0, str(Path(__file__).parents[1]))
from table import Row, run

from conftest import shape_shards
from seedbed.cluster.asked import Asked
from seedbed.cluster.choice import choose
from seedbed.cluster.connect import PRIVATE_SETTINGS, RAY_SETTINGS
from seedbed.cluster.layout import Layout
from seedbed.data.opening import open_corpora
from seedbed.plan.plan import Plan, plan
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import DEMO
from seedbed.run.driver import launch
from seedbed.storage.folder import Folder
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.track.ledger import InMemoryLedger
from seedbed.variants import CLIP

TOY = ("--variants", "2", "--samples", "512", "--repeats", "1")
TOY += ("--pairs", "512", "--cold", "--ask")
NEEDS = ("ray",)
WORKERS = 2


def study_plan(shapes: Path, num_variants: int, samples: int) -> Plan:
    """One cohort of variants that cost the same: they differ in learning rate alone."""
    study = Study(
        name="mesh",
        question="What does a second worker save?",
        base=Recipe.paper(objective=CLIP),
        factors=(
            Factor("lr", at="optimizer.lr", levels=[n * 1e-4 for n in range(1, num_variants + 1)]),
        ),
        responses=("zeroshot/top1_of_100",),
    )
    settings = {
        "corpus.uri": str(shapes),
        "corpus.caption": "txt",
        "budget.samples": samples,
        "budget.warmup_samples": samples // 16,
    }
    return plan(study, DEMO, overrides=settings, seeds=(0,), cohort_size=num_variants)


def seconds_of(what: Plan, num_workers: int, asked: int) -> tuple[float, set[str]]:
    """From the opening of the corpus to the last record, and the hashes of what was trained on.

    `asked` workers are asked for; 0: as many as are chosen, which are `num_workers`.
    """

    def noted(*given: Any, **named: Any) -> Layout:
        layout = choose(*given, **named)
        assert layout.num_workers == num_workers, layout.words
        return layout

    launch.choose = noted  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        outcome = launch.run_plan(
            what,
            open_corpora([what.trials[0].recipe.corpus], Path(folder)),
            Folder(folder),
            InMemoryLedger(),
            asked=Asked(asked),
            checkpoint_seconds=30,
            code_version={"seedbed": "bench", "git_commit": ""},
        )
        seconds = time.perf_counter() - began
    assert not outcome.missing(what.trials), outcome.reasons
    return seconds, {record.order_hash for record in outcome.records.values()}


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variants", type=int, default=8)
    parser.add_argument("--samples", type=int, default=DEMO.patches["budget.samples"])
    parser.add_argument("--pairs", type=int, default=4_096)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cold", action="store_true", help="without a run that is not counted")
    parser.add_argument("--ask", action="store_true", help="for two workers, worth it or not")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        shapes = shape_shards(Path(folder) / "shapes", options.pairs)
        what = study_plan(shapes, options.variants, options.samples)
        os.environ.update(RAY_SETTINGS | PRIVATE_SETTINGS)
        # Those that are asked for have a core each, and their data tasks one more.
        num_cpus = WORKERS + options.ask
        ray.init(address="local", num_cpus=num_cpus, include_dashboard=False, log_to_driver=False)
        if not options.cold:
            seconds_of(study_plan(shapes, 2, 512), 1, 1)  # for the caches of the disk
        asked = {1: 1, WORKERS: WORKERS if options.ask else 0}
        found: dict[int, list[float]] = {1: [], WORKERS: []}
        hashes = set[str]()
        for turn in range(options.repeats):
            for num_workers in (1, WORKERS)[:: -1 if turn % 2 else 1]:
                seconds, seen = seconds_of(what, num_workers, asked[num_workers])
                found[num_workers].append(seconds)
                hashes |= seen
        ray.shutdown()
    assert len(hashes) == 1, "one worker and two have seen different batches"
    one, two = (statistics.median(found[n]) for n in (1, WORKERS))
    print(f"{options.variants} variants: 1 worker {one:.1f} s, {WORKERS} workers {two:.1f} s")
    figure = f"a cohort of {options.variants} variants on {WORKERS} workers, wall time"
    return [Row(figure, two / one, "1 worker", 0.75)]


if __name__ == "__main__":
    run(main, TOY)
