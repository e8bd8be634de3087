"""The page about GPUs names files, options and marks that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/gpu.md").read_text()


def test_every_file_that_it_names_is_there() -> None:
    named = set(re.findall(r"tests/[\w/]+\.py", PAGE))
    named |= {f"tests/benchmarks/{name}" for name in re.findall(r"\bbench_\w+\.py", PAGE)}
    assert len(named) >= 3
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_what_it_says_of_the_benchmark_is_so() -> None:
    script = (ROOT / "tests/benchmarks/bench_gpu.py").read_text()
    assert '"--budget"' in script
    for goal in re.findall(r"0\.35|0\.40", PAGE):
        assert goal.rstrip("0") in script
    for field in ("samples_per_second", "mfu", "peak_gib", "launches"):
        assert f'"{field}"' in script
    assert '"gpu' in (ROOT / "pyproject.toml").read_text()
