"""How soon a cohort trains on when its node is taken away, and what it trains again.

On several raylets of this machine, with a study whose steps take a third of a second: a node is
lost with notice, by the watcher and a metadata server that speaks as AWS's does, and another one
without. To reach: no step lost with notice, and without it at most those of a checkpoint interval.

    python tests/benchmarks/bench_recovery.py [--repeats 3]
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import ray

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "run"))
from disturbed import CHECKPOINT_SECONDS, run, small, steps_of
from several_nodes import beside, join, last_kept, lose, new_cluster, told_to_go, until, watched
from table import Row
from table import run as run_benchmark
from tests.fixtures.metadata import metadata_server

from conftest import shape_shards

TOY = ("--repeats", "1", "--steps", "40")
NEEDS = ("long", "ray")
STEP_SECONDS = 0.3
NUM_NODES = 4


def disturbed(shapes: Path, num_steps: int) -> dict[str, float]:
    """One study that loses two nodes: seconds to the next step, and steps that were lost."""
    nodes = new_cluster(NUM_NODES)
    join(nodes)
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log, wait, results = folder / "steps", folder / "wait", folder / "results"
        wait.touch()

        def disturb() -> None:
            until(lambda: len(steps_of(log)) >= 2)
            first = steps_of(log)[0].node
            with metadata_server("aws") as server, watched(nodes.address, first, server.url):
                told_to_go(server)
                noticed = time.time()
                wait.unlink()
            until(lambda: steps_of(log)[-1].node != first)
            moved = steps_of(log)[-1]
            of_first = max(step.number for step in steps_of(log) if step.node == first)
            found["noticed"] = moved.time - noticed
            found["lost_with_notice"] = of_first + 1 - moved.number
            until(lambda: last_kept(results) > moved.number)
            lose(nodes, moved.node)
            gone = time.time()
            of_second = max(step.number for step in steps_of(log) if step.node == moved.node)
            until(lambda: steps_of(log)[-1].node not in (first, moved.node))
            (on,) = [s for s in steps_of(log) if s.node not in (first, moved.node)][:1]
            found["lost"] = on.time - gone
            found["lost_steps"] = of_second + 1 - on.number

        try:
            with beside(disturb):
                outcome = run(small(shapes, num_steps), folder, step_seconds=STEP_SECONDS)
            assert not outcome.reasons, outcome.reasons
            times = [step.time for step in steps_of(log)]
        finally:
            ray.shutdown()
            nodes.shutdown()
    pace = statistics.median(b - a for a, b in itertools.pairwise(times))
    found["interval_steps"] = CHECKPOINT_SECONDS / pace
    return found


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        shapes = shape_shards(Path(folder) / "shapes", 512)
        found = [disturbed(shapes, options.steps) for _ in range(options.repeats)]
    middle = {name: statistics.median(one[name] for one in found) for name in found[0]}
    worst = max(one["lost_steps"] / one["interval_steps"] for one in found)
    with_notice = max(one["lost_with_notice"] for one in found)
    print(
        f"a checkpoint every {CHECKPOINT_SECONDS:g} s, {middle['interval_steps']:.1f} steps; "
        f"lost without notice: {[round(one['lost_steps']) for one in found]} steps"
    )
    return [
        Row("from notice to the next step elsewhere", middle["noticed"], "", unit="s"),
        Row("from a node's loss to the next step", middle["lost"], "", unit="s"),
        Row("steps lost with notice, at most", with_notice, "", 0, unit="steps"),
        Row("steps lost without, at most", worst, "steps of a checkpoint interval", 1),
    ]


if __name__ == "__main__":
    run_benchmark(main, TOY)
