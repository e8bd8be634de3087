"""What a rehearsal planted beside what its report found. Oracle: the surface, by hand."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from seedbed.analyze import trials_table, write_report
from seedbed.plan.design import Design
from seedbed.plan.surface import Surface
from seedbed.study.record import TrialRecord

Study = tuple[Design, list[TrialRecord]]


@pytest.mark.slow
def test_planted_means_are_checked_as_differences_are(
    study: Callable[..., Study], tmp_path: Path
) -> None:
    """Seeds that spread six times the noise: an interval of these seeds alone would miss all."""
    surface = Surface(
        mean=0.4, effects={"depth=3": -0.03, "supervision=declip": 0.06}, noise=0.004,
        seed_spread=0.025,
    )  # fmt: skip
    design, records = study(
        {"depth": ["12", "3"], "supervision": ["clip", "declip"]},
        {"depth": "12", "supervision": "clip"},
        lambda cell: surface.value(cell) - surface.mean,
        num_seeds=4, mean=surface.mean, noise=surface.noise, seed_spread=surface.seed_spread,
    )  # fmt: skip
    design = replace(design, rehearsal=surface)
    write_report(design, trials_table(design, records), tmp_path, {})
    page = (tmp_path / "report.md").read_text(encoding="utf-8")
    part = page.split("What was planted, and what was found")[1].split("\n## ")[0]
    # By hand: 0.4 + half of the other factor's effect, and this factor's own.
    expected = {
        "depth 12": 43.0, "depth 3": 40.0, "supervision clip": 38.5, "supervision declip": 44.5,
    }  # fmt: skip
    for name, planted in expected.items():
        line = next(line for line in part.splitlines() if line.startswith(f"| {name} |"))
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        low, high = (float(text) for text in cells[3].split(" to "))
        assert float(cells[1]) == planted
        assert cells[4] == ("yes" if low <= planted <= high else "no")
        assert low < float(cells[2]) < high and high - low > 3
    told = re.search(r"(\d) of 4 intervals of means hold what was planted", part)
    assert told is not None and int(told[1]) == part.count("| yes |") - _yes_of_differences(part)


def _yes_of_differences(part: str) -> int:
    lines = [line for line in part.splitlines() if " minus " in line or ", interaction" in line]
    return sum("| yes |" in line for line in lines)
