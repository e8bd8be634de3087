"""Learning curves in the report. Oracle: the curves that were handed over, and bounds on what is
asked for and drawn however large the study is."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from seedbed.analyze import trials_table, write_report
from seedbed.analyze.report.sections.learning_curves import MOST_CELLS, MOST_SEEDS
from seedbed.plan.design import Design
from seedbed.study.record import TrialRecord

Study = tuple[Design, list[TrialRecord]]
Point = Mapping[str, float]
LAST = 10_240


class Reader:
    """Curves of 200 points, and what was asked of it."""

    def __init__(self, *, validated: bool = False) -> None:
        self.asked: list[str] = []
        self.validated = validated

    def __call__(self, key: str, names: Sequence[str]) -> list[Point]:
        self.asked.append(key)
        assert len(names) == 2  # a request of a tracking server each
        shift = 0.01 * (len(self.asked) % 3)
        points: list[dict[str, float]] = [
            {"samples": LAST * i // 200, "train/loss": 2 + shift + 2 * math.exp(-i / 40)}
            for i in range(1, 201)
        ]
        points[-1]["zeroshot/top1"] = 0.4
        if self.validated:
            for i in range(39, 199, 40):
                points[i]["zeroshot/top1"] = 0.1 + i / 1000
        return points


def figure(study: Study, folder: Path, provenance: dict[str, Any], read: Any) -> tuple[str, str]:
    """The figure as SVG and the page's section; empty where there is none."""
    design, records = study
    written = write_report(design, trials_table(design, records), folder, provenance, None, read)
    path = written.paths.get("figures/learning_curves.svg")
    page = written.paths["report.html"].read_text()
    section = page.partition("Learning curves")[2].partition("</section>")[0]
    return (path.read_text() if path else "", section)


def lines(svg: str, kind: str) -> list[list[tuple[float, float]]]:
    found = re.findall(rf'<polyline class="curve {kind}[^"]*" points="([^"]*)"', svg)
    return [
        [(float(x), float(y)) for x, y in (pair.split(",") for pair in own.split())]
        for own in found
    ]


@pytest.mark.slow
def test_cells_are_lines_and_seeds_are_thin_ones(
    depth_study: Study, tmp_path: Path, provenance: dict[str, Any]
) -> None:
    svg, section = figure(depth_study, tmp_path, provenance, Reader())
    assert len(lines(svg, "mean")) == 4 and len(lines(svg, "thin")) == 4 * 3
    assert "Samples seen (thousands)" in svg and "Training loss" in svg
    assert all(f"depth {level}" in svg for level in (1, 3, 6, 12))
    assert "the mean of its seeds" in section and "diverged" in section
    # Only the final of the response is known: one point is no curve.
    assert "Caption retrieval" not in svg
    for line in lines(svg, "mean"):
        assert line[-1][0] == 1000 and line[0][1] < line[-1][1]  # a loss falls: y grows downwards


@pytest.mark.slow
def test_a_metric_that_was_measured_on_the_way_has_a_panel_of_its_own(
    depth_study: Study, tmp_path: Path, provenance: dict[str, Any]
) -> None:
    svg, _ = figure(depth_study, tmp_path, provenance, Reader(validated=True))
    assert len(lines(svg, "mean")) == 2 * 4
    assert "Training loss" in svg and "Caption retrieval top-1 among all (%)" in svg


@pytest.mark.slow
def test_a_cell_s_line_is_the_mean_of_its_completed_seeds(
    study: Callable[..., Study], tmp_path: Path, provenance: dict[str, Any]
) -> None:
    made = study({"depth": ["1", "12"]}, {"depth": "12"}, lambda cell: 0.0, num_seeds=3,
                 missing={("1", "2"): ("diverged", "nan")})  # fmt: skip
    seeds = {record.key: (record.cell["depth"], record.seed) for record in made[1]}

    def read(key: str, names: Sequence[str]) -> list[Point]:
        level, seed = seeds[key]
        value = {0: 1.0, 1: 3.0, 2: 90.0}[seed] if level == "1" else 0.0
        return [{"samples": at, "train/loss": value} for at in (512, 1024)]

    svg, _ = figure(made, tmp_path, provenance, read)
    thin, mean = lines(svg, "thin"), lines(svg, "mean")
    heights = sorted({y for line in thin for _, y in line})
    # Drawn values are 0, 1, 3 and 90: the mean of 1 and 3 lies midway between theirs, and the
    # diverged trial neither moves it nor stretches the axis.
    top, bottom = heights[1], heights[2]
    assert any(line[0][1] == pytest.approx((top + bottom) / 2, abs=0.2) for line in mean)
    assert heights[0] < 0 and heights[-1] - heights[1] > 150


@pytest.mark.slow
def test_a_study_of_many_trials_asks_for_few_and_draws_few(
    study: Callable[..., Study], tmp_path: Path, provenance: dict[str, Any]
) -> None:
    many = study(
        {"a": [f"a{i}" for i in range(10)], "b": [f"b{i}" for i in range(12)]},
        {"a": "a0", "b": "b0"},
        lambda cell: 0.001 * int(cell["a"][1:]),
        num_seeds=6,
    )
    read = Reader(validated=True)
    svg, section = figure(many, tmp_path, provenance, read)
    assert len(read.asked) == len(set(read.asked)) == MOST_CELLS * MOST_SEEDS
    assert len(lines(svg, "mean")) == 2 * MOST_CELLS
    assert len(lines(svg, "thin")) == 2 * MOST_CELLS * MOST_SEEDS
    assert all(len(line) <= 60 for line in lines(svg, "(?:mean|thin)"))
    assert len(svg) < 120_000
    assert "12 of 120 cells are drawn, evenly from the best to the worst" in section
    assert "At most 4 seeds" in section
    styles = set(re.findall(r'class="curve mean (s\d d\d)"', svg))
    assert len(styles) == MOST_CELLS


@pytest.mark.slow
@pytest.mark.parametrize("read", [None, lambda key, names: []])
def test_without_curves_there_is_no_section(
    depth_study: Study, tmp_path: Path, provenance: dict[str, Any], read: Any
) -> None:
    assert figure(depth_study, tmp_path, provenance, read) == ("", "")


def test_one_trial_is_one_line(
    study: Callable[..., Study], tmp_path: Path, provenance: dict[str, Any]
) -> None:
    made = study({"depth": ["1", "12"]}, {"depth": "12"}, lambda cell: 0.0, num_seeds=1,
                 missing={("1", "0"): ("never_started", "")})  # fmt: skip
    svg, section = figure(made, tmp_path, provenance, Reader())
    assert len(lines(svg, "mean")) == 1 and not lines(svg, "thin")
    assert "seed" not in section.partition("<figure>")[0]
