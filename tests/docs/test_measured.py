"""The page of what was measured names scripts that there are, and goals that they have."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/measured.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("|") and "bench_" in line]


def test_every_script_is_there_and_has_the_goal_that_is_said() -> None:
    assert len(ROWS) >= 10
    for row in ROWS:
        (name,) = re.findall(r"`(bench_\w+\.py)`", row)
        script = (ROOT / "tests/benchmarks" / name).read_text()
        for goal in re.findall(r"[≤≥] ([\d.]+)", row):
            assert re.search(rf"\b{re.escape(goal)}(0*\b|\.0\b)", script), (name, goal)
