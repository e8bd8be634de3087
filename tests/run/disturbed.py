"""A small study that may be disturbed: its workers write down each step, when and where.

Run as a program it is a driver that can be killed:

    python disturbed.py SHAPES FOLDER RESULTS [SECONDS]
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load

from seedbed.cluster.asked import Asked
from seedbed.cluster.choice import choose
from seedbed.data.opening import open_corpora
from seedbed.plan.plan import Plan, plan
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import SCALES
from seedbed.run.driver import launch
from seedbed.run.driver.outcome import Outcome
from seedbed.storage.folder import Folder
from seedbed.study.factor import Factor
from seedbed.study.record import TrialRecord
from seedbed.study.study import Study
from seedbed.track.ledger import InMemoryLedger
from seedbed.variants import CLIP

STEPS, BATCH = 40, 64
CHECKPOINT_SECONDS = 1.5
WAITS_AT = 5
ONE = Asked(1)


def small(shapes: Path, num_steps: int = STEPS) -> Plan:
    """Four variants of one stream, without batch norm, whose statistics are a worker's own."""
    study = Study(
        name="disturbed",
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("depth", at="text.layers", levels=(1, 2, 3, 4)),),
        responses=("zeroshot/top1_of_100",),
    )
    settings = {
        "corpus.uri": str(shapes),
        "corpus.caption": "txt",
        "image.name": "test_vit",
        "budget.samples": num_steps * BATCH,
    }
    return plan(study, SCALES["smoke"], overrides=settings, seeds=(0,))


@dataclass(frozen=True)
class Step:
    """A step that was trained: when, its number, and on which node of Ray."""

    time: float
    number: int
    node: str


def steps_of(log: Path) -> list[Step]:
    """What the first worker has trained so far."""
    if not log.exists():
        return []
    lines = [line.split() for line in log.read_text().splitlines()]
    return [Step(float(when), int(number), node) for when, number, node in lines]


def loop_that_tells(folder: Path, seconds: float) -> Callable[[dict[str, Any]], None]:
    """The loop of a worker that writes down each of its steps in `folder`, and waits after it.

    While there is a file `wait` in the folder, no step after the first five is taken.
    """
    log, wait = folder / "steps", folder / "wait"

    def loop(config: dict[str, Any]) -> None:
        import ray.train

        from seedbed.run.worker import cohort, loop

        rank = ray.train.get_context().get_world_rank()
        node = ray.get_runtime_context().get_node_id()
        step = cohort.CohortTraining.step

        def told(self: Any, batch: Any) -> None:
            step(self, batch)
            if rank == 0:
                with log.open("a") as out:
                    out.write(f"{time.time()} {self.step_number} {node}\n")
            time.sleep(seconds)
            while self.step_number >= WAITS_AT and wait.exists():
                time.sleep(0.05)

        cohort.CohortTraining.step = told  # type: ignore[method-assign]
        loop.train(config)

    return loop


def run(
    what: Plan,
    folder: Path,
    *,
    results: str = "",
    asked: Asked = ONE,
    step_seconds: float = 0.0,
    ledger: InMemoryLedger | None = None,
) -> Outcome:
    """Run `what` on the Ray that is joined, each worker with one thread: sums depend on that."""
    launch.train = loop_that_tells(folder, step_seconds)  # type: ignore[assignment]
    launch.choose = lambda *given, **named: replace(choose(*given, **named), threads=1)
    try:
        return launch.run_plan(
            what,
            open_corpora([what.trials[0].recipe.corpus], folder / "home"),
            Folder(results or str(folder / "results")),
            ledger or InMemoryLedger(),
            asked=asked,
            checkpoint_seconds=CHECKPOINT_SECONDS,
            code_version={"git_commit": "test"},
        )
    finally:
        launch.choose = choose


def learned(record: TrialRecord) -> dict[str, Any]:
    """What a record says of learning: all but its time, its layout and its retries."""
    values = record.to_json()
    timed = ("seconds", "hours")
    metrics = {n: v for n, v in record.metrics.items() if not any(word in n for word in timed)}
    return {n: v for n, v in values.items() if n not in ("metrics", "layout", "attempt")} | metrics


def weights(what: Plan, results: str) -> dict[str, dict[str, torch.Tensor]]:
    store = Folder(results)
    return {
        trial.key: load(store.read_bytes("trials", trial.key, "model.safetensors"))
        for trial in what.trials
    }


if __name__ == "__main__":
    import ray

    ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False)
    shapes, folder, results = sys.argv[1:4]
    seconds = float(sys.argv[4]) if len(sys.argv) > 4 else 0.0
    done = run(small(Path(shapes)), Path(folder), results=results, step_seconds=seconds)
    sys.exit(bool(done.missing(small(Path(shapes)).trials)))
