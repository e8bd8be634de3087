"""`--plan` of 10,000 trials and of the shipped studies, each in a process of its own.

    python tests/benchmarks/bench_plan.py [--trials 10000]

To reach: 10,000 trials in under 3 s and 500 MB, also of two factors of 50 levels, the shipped
studies without Ray, 500 rehearsals of a shipped study drawn in seconds. What models hold is counted
before (a first plan waits for torch).
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from table import Row, run

TOY = ("--trials", "100", "--draws", "5", "--studies", "text_encoder_depth")
NEEDS = ()
STUDIES = Path(__file__).parents[2] / "studies"
STUDY = """
from seedbed import Factor, Recipe, Study, main
from seedbed.variants import CLIP

main(Study(
    name="big", question="?", base=Recipe.paper(objective=CLIP), seeds={seeds},
    factors=(
        Factor("depth", at="text.layers", levels=(1, 3, 6, 12)[:{levels}]),
        Factor("lr", at="optimizer.lr", levels=(1e-4, 2e-4, 5e-4, 1e-3, 2e-3)),
        Factor("decay", at="optimizer.weight_decay", levels=(0.0, 0.1, 0.2, 0.4, 0.5)[:{levels}]),
        Factor("beta", at="optimizer.beta2", levels=(0.95, 0.98, 0.99, 0.999)[:{levels}]),
        Factor("width", at="text.width", levels=(256, 512)),
    ),
))
"""
CROSSED = """
from seedbed import Factor, Recipe, Study, main
from seedbed.variants import CLIP

main(Study(
    name="crossed", question="?", base=Recipe.paper(objective=CLIP), seeds={seeds},
    factors=(
        Factor("lr", at="optimizer.lr", levels=[1e-5 * n for n in range(1, {levels} + 1)]),
        Factor("decay", at="optimizer.weight_decay", levels=[0.01 * n for n in range({levels})]),
    ),
))
"""
RATES = "(1e-4, 2e-4, 5e-4, 1e-3, 2e-3)"
# The most memory that it took (kB), and what it imported, on the last line of stderr.
PLAN = """
import atexit, resource, runpy, sys
heavy = {"ray", "torch"}
most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
atexit.register(lambda: print(most(), *sorted(heavy & sys.modules.keys()), file=sys.stderr))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@dataclass(frozen=True)
class Planned:
    """What a study's command printed and imported, its seconds and megabytes."""

    out: str
    heavy: list[str]
    seconds: float
    megabytes: float


def planned(*arguments: str) -> Planned:
    command = [sys.executable, "-c", PLAN, *arguments]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - began
    most, *heavy = done.stderr.splitlines()[-1].split()
    return Planned(done.stdout, heavy, seconds, int(most) * 1024 / 1e6)


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--draws", type=int, default=500)
    names = sorted(path.stem for path in STUDIES.glob("*.py"))
    if "SEEDBED_START" not in os.environ:  # else its weights would be fetched first
        names.remove("finetune_or_scratch")
    parser.add_argument("--studies", nargs="*", default=names)
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SEEDBED_HOME"] = f"{folder}/home"
        levels, cells = (5, 800) if args.trials >= 800 else (2, 80)  # at most, of each factor
        big = Path(folder) / "big.py"
        big.write_text(STUDY.format(seeds=-(-args.trials // cells), levels=levels))
        plan = (str(big), "--plan", "--keep-weights", "none")
        planned(*plan)
        whole = planned(*plan)
        wide = Path(folder) / "wide.py"
        cells = "tuple(1e-4 * n for n in range(1, 61))" if args.trials >= 800 else "(1e-4, 2e-4)"
        few = STUDY.format(seeds=1, levels=levels).replace(RATES, cells)
        wide.write_text(few)
        one_seed = planned(str(wide), "--plan", "--keep-weights", "none")
        square = Path(folder) / "crossed.py"
        square.write_text(CROSSED.format(seeds=4, levels=50 if args.trials >= 800 else 5))
        plan = (str(square), "--plan", "--keep-weights", "none")
        planned(*plan)
        squared = planned(*plan)
        for name, done in (("a seed", one_seed), ("two factors", squared), ("five", whole)):
            number = re.search(r"total +([\d,]+) trials", done.out)
            print(
                f"{number and number[1]} trials of {name}: {done.seconds:.2f} s, "
                f"{done.megabytes:.0f} MB"
            )
        shipped = []
        for name in args.studies:
            study = str(STUDIES / f"{name}.py")
            planned(study, "--plan")
            shipped.append(planned(study, "--plan"))
            print(f"{name}: {shipped[-1].seconds:.2f} s")
        study = str(STUDIES / "text_encoder_depth.py")
        drawn = planned(study, "--rehearse", "--draws", str(args.draws))
        print(f"{args.draws} draws of text_encoder_depth: {drawn.seconds:.2f} s")
    with_ray = sum("ray" in one.heavy for one in (whole, drawn, *shipped))
    return [
        Row("a plan of 10,000 trials, time", whole.seconds, "", 3, unit="s"),
        Row("a plan of 10,000 trials, memory", whole.megabytes, "", 500, unit="MB"),
        Row("a plan of 9,600 cells by one seed, time", one_seed.seconds, "", 3, unit="s"),
        Row("a plan of 9,600 cells by one seed, memory", one_seed.megabytes, "", 500, unit="MB"),
        Row("a plan of 50 x 50 levels by 4 seeds, time", squared.seconds, "", 3, unit="s"),
        Row("a plan of 50 x 50 levels by 4 seeds, memory", squared.megabytes, "", 500, unit="MB"),
        Row("plans and draws that import Ray", with_ray, "", 0, unit="of them"),
        Row("a shipped study's plan, time", max(one.seconds for one in shipped), "", unit="s"),
        Row("drawn rehearsals, time", drawn.seconds, "", 10, unit="s"),
    ]


if __name__ == "__main__":
    run(main, TOY)
