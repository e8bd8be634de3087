"""What a search takes beside the training that it asks for.

Baseline, in the same run: the search itself, real trials of the smallest scale on Ray, whose
records are then told to it again, so that what is left is asking and telling. To reach: less than
one trial in a hundred lost to it. Besides: what a further round costs, whose workers start anew.

    python tests/benchmarks/bench_search.py [--trials 16] [--cells 4] [--many 64]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from table import Row, run

from conftest import shape_shards
from seedbed import Factor, Recipe, Search, Study, Tuning
from seedbed.cluster.asked import Asked
from seedbed.cluster.connect import connect
from seedbed.data.opening import open_corpora
from seedbed.plan.plan import Plan, plan
from seedbed.recipe.scale import SCALES
from seedbed.run.driver.launch import run_plan
from seedbed.storage.folder import Folder
from seedbed.study.record import TrialRecord
from seedbed.track.ledger import InMemoryLedger
from seedbed.tuning.rounds import tune_cells
from seedbed.variants import CLIP

TOY = ("--trials", "2", "--cells", "2", "--many", "8")
NEEDS = ("long", "ray")
REPEATS = 5  # of what takes milliseconds


def planned(shapes: Path, num_trials: int, num_cells: int, sampler: str) -> Plan:
    depths = tuple(range(1, num_cells + 1))
    study = Study(
        name="search",
        question="What does a search cost?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("depth", at="text.layers", levels=depths),),
        responses=("zeroshot/top1",),
        nuisance=(
            Search("optimizer.lr", low=1e-4, high=1e-2, log=True),
            Search("optimizer.weight_decay", low=0.01, high=0.5, log=True),
        ),
        tuning=Tuning(trials=num_trials, sampler=sampler),
    )
    settings = {"corpus.uri": str(shapes), "corpus.caption": "txt"}
    return plan(study, SCALES["smoke"], overrides=settings, seeds=(0,))


def searched(what: Plan) -> tuple[float, dict[str, TrialRecord]]:
    """Seconds of a search from its first candidate to its last, and its records."""
    kept: dict[str, TrialRecord] = {}
    with tempfile.TemporaryDirectory() as folder:
        corpora = open_corpora([what.trials[0].recipe.corpus], Path(folder))

        def measure(chosen: Plan, number: int) -> Mapping[str, TrialRecord]:
            outcome = run_plan(
                chosen,
                corpora,
                Folder(folder),
                InMemoryLedger(),
                asked=Asked(1),
                checkpoint_seconds=30,
                code_version={"seedbed": "bench", "git_commit": ""},
                keep_weights=False,
            )
            assert not outcome.missing(chosen.trials), outcome.reasons
            kept.update(outcome.records)
            return kept

        began = time.perf_counter()
        tune_cells(what, measure)
        seconds = time.perf_counter() - began
    return seconds, kept


def asked_and_told(what: Plan, kept: Mapping[str, TrialRecord]) -> float:
    """Seconds of the same search without its training."""
    found = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        tune_cells(what, lambda chosen, number: kept)
        found.append(time.perf_counter() - began)
    return min(found)


def pretended(what: Plan) -> dict[str, TrialRecord]:
    """Records by a rule, of every candidate that is asked for."""
    kept: dict[str, TrialRecord] = {}

    def measure(chosen: Plan, number: int) -> Mapping[str, TrialRecord]:
        for t in chosen.trials:
            metrics = {"zeroshot/top1": 1 / (1 + 100 * t.recipe.optimizer.lr)}
            kept[t.key] = TrialRecord(
                key=t.key, study="search", scale="smoke", cell=t.cell, seed=t.seed, cohort="",
                status="completed", metrics=metrics,
            )  # fmt: skip
        return kept

    tune_cells(what, measure)
    return kept


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=16, help="candidates of each cell")
    parser.add_argument("--cells", type=int, default=4)
    parser.add_argument("--many", type=int, default=64, help="candidates of a long search")
    options = parser.parse_args(arguments)
    connect()
    with tempfile.TemporaryDirectory() as folder:
        shapes = shape_shards(Path(folder) / "shapes", 300)
        adapting = planned(shapes, options.trials, options.cells, "tpe")
        seconds, kept = searched(adapting)
        at_once, _ = searched(planned(shapes, options.trials, options.cells, "quasi-random"))
        lost = asked_and_told(adapting, kept)
        long = planned(shapes, options.many, options.cells, "tpe")
        each = asked_and_told(long, pretended(long)) / options.many / options.cells
    steps = sum(
        r.metrics["cost/train_seconds"] + r.metrics["cost/startup_seconds"] for r in kept.values()
    )
    rounds = len(adapting.nuisance.tuning.sizes) if adapting.nuisance else 0
    print(f"{len(kept)} trials in {seconds:.0f} s, of which {lost * 1e3:.0f} ms are the search")
    return [
        Row("asking and telling, seconds", lost / seconds, "the search with its training", 0.01),
        Row("asking and telling, seconds", lost / steps, "the trials' own steps alone"),
        Row(f"a candidate among {options.many}", each * 1e3, "", unit="ms"),
        Row("a further round", (seconds - at_once) / max(1, rounds - 1), "", unit="s"),
    ]


if __name__ == "__main__":
    run(main, TOY)
