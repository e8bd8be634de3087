"""The picture of effect against cost. Oracles: the power of what its table says, prices by hand,
and an XML parser."""

from __future__ import annotations

import csv
import runpy
from pathlib import Path
from xml.etree import ElementTree

import pytest

from seedbed.analyze.figures.frontier import Frontier, Point, frontier_figure
from seedbed.commands.study.options import options_of
from seedbed.commands.study.plan import print_plan
from seedbed.commands.study.price import Price
from seedbed.plan.power import t_power

ROOT = Path(__file__).parents[3]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.slow
def test_the_table_has_designs_at_their_price_and_the_effects_that_they_detect(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = runpy.run_path(str(ROOT / "studies" / "supervision_terms.py"))["study"]
    given = ["--plan", "--accelerator", "H100", "--noise", "0.004", "--out", str(tmp_path / "out")]
    options = options_of(study, given)
    print_plan(options)
    with (tmp_path / "out" / "frontier.csv").open() as file:
        rows = list(csv.DictReader(file))
    by_design = {(row["design"], int(row["seeds"])): row for row in rows}
    own = by_design["this study", 4]
    # 16 cells: 8 at each level. 64 trials less 1 + 5 + 10 effects and 3 seeds leave 45; with a
    # variance for each cell Satterthwaite's number is smaller.
    effect, se = float(own["detectable"]), 0.004 * (2 / (8 * 4)) ** 0.5
    assert t_power(effect, se, 45) == pytest.approx(0.8, abs=0.02)
    # Twice the cells at half the seeds: as much for as much, but no cheaper.
    whole = by_design["all combinations", 2]
    assert float(whole["cost"]) == pytest.approx(float(own["cost"]), rel=0.02)
    assert float(whole["detectable"]) == pytest.approx(effect, rel=0.05)
    single = by_design["one factor at a time", 12]
    assert float(single["cost"]) < float(own["cost"]) * 1.2
    assert float(single["detectable"]) > 1.1 * effect
    price = Price(options, [])
    assert float(own["cost"]) == pytest.approx(
        4 * price.dollars(price.others[0]) / len(options.plan.study.seeds or ()), rel=1e-4
    )
    drawn = ElementTree.parse(tmp_path / "out" / "frontier.svg").getroot()
    words = [element.text for element in drawn.iter(f"{SVG}text")]
    assert any("Dollars on H100" in str(one) for one in words)
    assert "this study: 16 cells" in words and "2 seeds" in words
    num_dots = sum("off" in str(e.get("class")) for e in drawn.iter(f"{SVG}circle"))
    assert num_dots == len(rows) - 1  # the planned one is full
    assert "written" in capsys.readouterr().err


def test_costs_in_thousands_are_said_to_be() -> None:
    def titles(cost: float) -> str:
        curve = Frontier("all: 8 cells", [Point(2, cost, 0.01), Point(3, 1.5 * cost, 0.007)])
        return frontier_figure(
            [curve], present=(0, 3), x_title="Dollars", y_title="Effect", wanted=0.005, scale=100
        ).inner

    assert "Dollars (thousands)" in titles(20_000) and "(thousands)" not in titles(20)
    assert ">3 seeds<" in titles(20) and ">0.5<" in titles(20)
