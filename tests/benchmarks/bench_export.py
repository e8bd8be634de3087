"""The memory that reading an exported table of runs takes: five columns of 200, of 100,000 rows.

    python tests/benchmarks/bench_export.py [--rows 100000] [--columns 200]

The file is as W&B exports it, every field in quotes, a quarter of its columns texts. Each reader is
a process of its own; its peak is what it adds to that of the imports. Baselines, in the same run:
pandas' reading of the whole file, and pyarrow's reader with `include_columns`, of the file at once
and as a stream.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from table import Row, run

TOY = ("--rows", "2000", "--columns", "20")
NEEDS = ()
WANTED = ("lr", "seed", "val/top1")
# What it adds to the peak (MiB), its processor seconds, the rows and the sum of the response.
MEASURE = """
import resource, sys, time
import pandas as pd, pyarrow.csv as csv
from seedbed.analyze.trials.foreign_file import read_file
path, how, *wanted = sys.argv[1:]
kept = ["Name", "State", *wanted]
options = csv.ConvertOptions(include_columns=kept, null_values=[""], strings_can_be_null=True)
most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, began = most(), time.process_time()
if how == "ours":
    table = read_file(path, wanted)
elif how == "whole":
    table = pd.read_csv(path, keep_default_na=False, na_values=[""])
elif how == "pyarrow":
    table = csv.read_csv(path, convert_options=options).to_pandas()
else:
    with csv.open_csv(path, convert_options=options) as stream:
        table = stream.read_all().to_pandas()
spent = time.process_time() - began
print(most() - before, spent, len(table), f"{table['val/top1'].sum():.3f}")
"""


def export(path: Path, num_rows: int, num_columns: int) -> None:
    noise = random.Random(0)
    others = num_columns - 5
    names = ["Name", "State", *WANTED, *(f"summary/{n}" for n in range(others))]
    rests = [
        ",".join(f'"text of run {noise.random():.4f}"' if n % 4 == 0 else f'"{noise.random():.6f}"'
                 for n in range(others))
        for _ in range(500)
    ]  # fmt: skip
    with path.open("w") as file:
        file.write(",".join(f'"{name}"' for name in names) + "\n")
        for row in range(num_rows):
            own = f'"run-{row}","finished","{(0.01, 0.001)[row % 2]}","{row // 2}"'
            file.write(f'{own},"{40 + noise.gauss(0, 1):.3f}",{rests[row % len(rests)]}\n')


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=200)
    args = parser.parse_args(arguments)
    peaks, seconds, read = {}, {}, set()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "export.csv"
        export(path, args.rows, args.columns)
        print(f"{path.stat().st_size / 2**20:.0f} MiB of text")
        for how in ("ours", "whole", "pyarrow", "stream"):
            command = [sys.executable, "-c", MEASURE, str(path), how, *WANTED]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            peak, spent, *same = done.stdout.split()
            peaks[how], seconds[how] = max(1.0, float(peak)), float(spent)
            read.add(tuple(same))
            print(f"{how:8} {float(peak):6.0f} MiB, {float(spent):.2f} s on a processor")
    assert len(read) == 1, read
    return [
        Row("memory of the columns asked for", peaks["ours"] / peaks["whole"], "the whole", 0.1),
        Row("memory of the columns asked for", peaks["ours"] / peaks["pyarrow"], "pyarrow", 1),
        Row("memory of the columns asked for", peaks["ours"] / peaks["stream"], "its stream", 1),
        Row("time of the columns asked for", seconds["ours"] / seconds["whole"], "the whole", 1),
        Row("time of the columns asked for", seconds["ours"] / seconds["stream"], "its stream"),
    ]


if __name__ == "__main__":
    run(main, TOY)
