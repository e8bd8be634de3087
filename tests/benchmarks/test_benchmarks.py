"""Every benchmark runs to its end at toy size. Oracle: its own rows; their figures say nothing."""

from __future__ import annotations

import ast
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
BENCHMARKS = sorted(set(FOLDER.glob("bench_*.py")) - {FOLDER / "bench_gpu.py"})  # test_gpu.py's


def needs(path: Path) -> tuple[str, ...]:
    """The markers that the benchmark says it needs, without importing it."""
    for line in ast.parse(path.read_text()).body:
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "NEEDS":
            return tuple(ast.literal_eval(line.value))
    raise AssertionError(f"{path.name} does not say what it NEEDS")


def marks(path: Path) -> list[pytest.MarkDecorator]:
    """Those that it needs; one that runs studies takes a minute or two."""
    named = needs(path)
    return [getattr(pytest.mark, name) for name in (*named, *("long",) * ("ray" in named))]


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=marks(path), id=path.stem) for path in BENCHMARKS],
)
def test_it_runs_at_toy_size_and_its_figures_have_goals(
    path: Path, tmp_path: Path, home: Path
) -> None:
    rows = tmp_path / "rows.json"
    done = subprocess.run(
        [sys.executable, str(path), "--toy", "--rows-to", str(rows)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    check_figures(rows)


def check_figures(rows: Path) -> None:
    """What every benchmark writes: figures that are numbers, each once, and at least one goal."""
    found = json.loads(rows.read_text())
    assert len({(row["figure"], row["baseline"]) for row in found}) == len(found)
    assert all(math.isfinite(row["value"]) for row in found)
    assert all(row["baseline"] or row["unit"] for row in found if row["goal"])
    assert any(row["goal"] is not None for row in found)


def test_a_figure_meets_its_goal_from_the_right_side_and_a_broken_benchmark_stops_no_other(
    tmp_path: Path,
) -> None:
    (tmp_path / "table.py").write_text((FOLDER / "table.py").read_text())
    (tmp_path / "bench_a.py").write_text("raise SystemExit('a is broken')\n")
    (tmp_path / "bench_b.py").write_text(
        "from table import Row, run\n"
        "def main(arguments):\n"
        "    size = 1.5 if '--small' in arguments else 3.0\n"
        "    return [Row('speed', size, 'x', 2, at_least=True), Row('time', size, 'x', 2)]\n"
        "run(main, ('--small',))\n"
    )
    for toy, verdicts in (([], ["met", "MISSED"]), (["--toy"], ["MISSED", "met"])):
        done = subprocess.run(
            [sys.executable, str(tmp_path / "table.py"), *toy],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1 and "to its end: a" in done.stderr
        table = done.stdout[done.stdout.rindex("benchmark  figure") :].splitlines()
        assert table[1].split() == ["b", "speed", table[1].split()[2], "x", "≥", "2", verdicts[0]]
        assert table[2].split()[-1] == verdicts[1]
    assert subprocess.run([sys.executable, str(tmp_path / "table.py"), "b"]).returncode == 0
