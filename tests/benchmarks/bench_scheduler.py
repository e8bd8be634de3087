"""What it costs to schedule trials that do nothing, and what many of them cost the driver.

Baseline, in the same run and on the same Ray: Ray Tune's own grid of as many trials that report
once and end, as many at a time. Ours go the whole way: cohorts, worker groups, records in a
folder, the ledger. To reach: at most half of Tune's seconds. Tune is stopped at three times ours,
so that it all ends within the hour: the ratio is then at least as good as is said.

    python tests/benchmarks/bench_scheduler.py [--trials 1000] [--many 10000]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from table import Row, run

TOY = ("--trials", "20", "--many", "40")
NEEDS = ("long", "ray")
COHORT_SIZE = 8
TIMES = 3  # of our seconds, at which Tune is stopped
SEEDS = 10
CPUS = 2  # that Ray counts: a worker and its data task


def no_op_plan(num_trials: int) -> Any:
    from seedbed import Factor, Recipe, Study
    from seedbed.plan.plan import plan
    from seedbed.recipe.scale import SCALES
    from seedbed.variants import CLIP

    seeds = range(min(SEEDS, num_trials // 2))
    rates = [1e-3 + i * 1e-7 for i in range(num_trials // len(seeds))]
    study = Study(
        name="no_op",
        question="What does it cost to schedule?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("lr", at="optimizer.lr", levels=rates),),
        responses=("zeroshot/top1_of_100",),
    )
    return plan(study, SCALES["smoke"], seeds=tuple(seeds), cohort_size=COHORT_SIZE)


def by_cohorts(num_trials: int) -> float:
    """Seconds of a study whose trials only leave a record."""
    from seedbed.cluster.asked import Asked
    from seedbed.plan.surface import Surface
    from seedbed.run.driver.launch import run_plan
    from seedbed.storage.folder import Folder
    from seedbed.track.ledger import InMemoryLedger

    what = no_op_plan(num_trials)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        outcome = run_plan(
            what,
            {},
            Folder(folder),
            InMemoryLedger(),
            asked=Asked(1),
            checkpoint_seconds=None,
            code_version={"seedbed": "bench", "git_commit": ""},
            surface=Surface(),
        )
        seconds = time.perf_counter() - began
    assert len(outcome.records) == len(what.trials) == num_trials, outcome.reasons
    return seconds


def by_tune(num_trials: int, *, reuse_actors: bool, most_seconds: float) -> tuple[float, int]:
    """Seconds of Ray Tune's own grid of trials that report once, and how many ended by then."""
    import ray.tune

    def no_op(config: dict[str, Any]) -> None:
        ray.tune.report({"value": config["number"]})

    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        results = ray.tune.Tuner(
            # As many at a time as there are cohorts: one worker and its data task each.
            ray.tune.with_resources(no_op, {"cpu": CPUS}),
            param_space={"number": ray.tune.grid_search(list(range(num_trials)))},
            tune_config=ray.tune.TuneConfig(reuse_actors=reuse_actors, time_budget_s=most_seconds),
            run_config=ray.tune.RunConfig(storage_path=folder, verbose=0),
        ).fit()
        seconds = time.perf_counter() - began
    assert not results.num_errors
    ended = sum(1 for result in results if "value" in (result.metrics or {}))
    assert ended == num_trials or seconds >= most_seconds, (ended, seconds)
    return seconds, ended


def against(
    name: str, ours: float, tune: tuple[float, int], num_trials: int, what: str, goal: float | None
) -> Row:
    """Our share of Tune's seconds; of what it was given, where it did not come to its end."""
    seconds, ended = tune
    print(f"{num_trials:,} trials: ours {ours:.0f} s; {what}: {ended:,} in {seconds:.0f} s")
    if ended < num_trials:
        name, what = f"{name}, at most", f"{what}, cut off at {ended:,}"
    return Row(name, ours / seconds, what, goal)


def start_ray() -> None:
    import ray

    from seedbed.cluster.connect import RAY_SETTINGS

    os.environ.update(RAY_SETTINGS)
    ray.init(
        address="local",
        num_cpus=CPUS,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )


def driver_of(num_trials: int) -> dict[str, float]:
    """What a driver of its own, in a process of its own, takes for so many trials."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.json"
        command = [sys.executable, __file__, "--driver", str(num_trials), "--told", str(told)]
        subprocess.run(command, check=True)
        values: dict[str, float] = json.loads(told.read_text())
    return values


def drive(num_trials: int, told: Path) -> None:
    start_ray()
    before = resource.getrusage(resource.RUSAGE_SELF)
    seconds = by_cohorts(num_trials)
    after = resource.getrusage(resource.RUSAGE_SELF)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    values = {"seconds": seconds, "busy": busy, "megabytes": after.ru_maxrss / 1024}
    told.write_text(json.dumps(values))


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1_000)
    parser.add_argument("--many", type=int, default=10_000, help="trials of the driver alone")
    parser.add_argument("--driver", type=int, default=0, help="measure this process as a driver")
    parser.add_argument("--told", type=Path)
    options = parser.parse_args(arguments)
    if options.driver:
        drive(options.driver, options.told)
        return []
    few, many = driver_of(COHORT_SIZE * 2), driver_of(options.many)
    start_ray()
    ours = by_cohorts(options.trials)
    most = TIMES * ours
    tune = by_tune(options.trials, reuse_actors=False, most_seconds=most)
    reusing = by_tune(options.trials, reuse_actors=True, most_seconds=most)
    name = f"{options.trials:,} trials that do nothing, seconds"
    drivers = f"driver of {options.many:,} trials"
    memory = many["megabytes"] - few["megabytes"]
    return [
        against(name, ours, tune, options.trials, "Ray Tune's own grid", 0.5),
        against(name, ours, reusing, options.trials, "the same with reuse_actors", None),
        Row(f"{drivers}: time", many["seconds"], "", unit="s"),
        Row(f"{drivers}: CPU time", many["busy"], "", unit="s"),
        Row(f"{drivers}: memory beyond one of 16", memory, "", unit="MB"),
    ]


if __name__ == "__main__":
    run(main, TOY)
