"""The critical-difference figure. Oracle: pairs compared one by one."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from seedbed.analyze.figures.ranks import joined, rank_figure
from seedbed.analyze.stats.ranks import rank_levels


def table(num_tasks: int = 12) -> pd.DataFrame:
    random = np.random.default_rng(0)
    rows = [
        {"method": method, "seed": seed}
        | {f"t{n}": shift + random.normal(0, 0.4) for n in range(num_tasks)}
        for method, shift in zip("abcde", (0.0, 0.1, 1.0, 1.1, 2.0), strict=True)
        for seed in range(3)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("distance", [0.3, 0.9, 1.5, 4.0])
def test_bars_join_exactly_the_pairs_that_cannot_be_told_apart(distance: float) -> None:
    places = sorted(np.random.default_rng(1).uniform(1, 6, 6))
    runs = joined(places, distance)
    for i, j in itertools.combinations(range(6), 2):
        together = any(first <= i and j <= last for first, last in runs)
        assert together == (places[j] - places[i] < distance)
    assert not any(a != b and a[0] >= b[0] and a[1] <= b[1] for a in runs for b in runs)


def test_levels_stand_at_their_ranks() -> None:
    ranks = rank_levels(table(), [f"t{n}" for n in range(12)], of="method")
    drawn = rank_figure(ranks)
    assert drawn is not None
    svg = drawn.inline()
    root = ElementTree.fromstring(svg)
    dots = [e for e in root.iter() if e.attrib.get("class") == "mean s1"]
    places = [float(dot.attrib["cx"].removesuffix("%")) for dot in dots]
    expected = sorted(ranks.ranks["mean_rank"])
    slope = (places[-1] - places[0]) / (expected[-1] - expected[0])
    assert places == pytest.approx(
        [places[0] + slope * (r - expected[0]) for r in expected], abs=0.05
    )
    assert f"critical difference {ranks.critical_difference:.2f}" in svg


def test_levels_that_tie_everywhere_are_not_drawn() -> None:
    same = table()
    same[[f"t{n}" for n in range(12)]] = 0.5
    assert rank_figure(rank_levels(same, ["t0", "t1"], of="method")) is None
