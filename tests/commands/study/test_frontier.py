"""The picture of effect against cost. Oracles: the power of what its table says, prices by hand,
and an XML parser."""

from __future__ import annotations

import csv
from pathlib import Path
from xml.etree import ElementTree

import pytest

from seedbed.analyze.figures.frontier import Frontier, Point, frontier_figure
from seedbed.commands.study.frontier import write_frontier
from seedbed.commands.study.options import options_of
from seedbed.commands.study.price import Price
from seedbed.commands.study.sight import Foreseen
from seedbed.plan.power import t_power
from seedbed.recipe.recipe import Recipe
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.variants import CLIP, DECLIP

DISTORTIONS = (
    *("min_area", "min_aspect", "jitter_p", "brightness", "contrast"),
    *("saturation", "hue", "grayscale_p", "blur_p", "flip_p"),
)
SVG = "{http://www.w3.org/2000/svg}"


STUDY = Study(
    name="half",
    question="?",
    base=Recipe.paper(objective=CLIP),
    factors=(
        Factor("depth", at="text.layers", levels=(1, 12), baseline=12),
        Factor("supervision", at="objective", levels={"clip": CLIP, "declip": DECLIP}),
        Factor("lr", at="optimizer.lr", levels=(1e-3, 2e-3), baseline=1e-3),
        Factor("decay", at="optimizer.weight_decay", levels=(0.1, 0.2), baseline=0.1),
    ),
    responses=("zeroshot/top1_of_100",),
    seeds=3,
    error="pooled",
    fraction=("depth * supervision * lr * decay",),
    scales={"demo": {"image.name": "resnet50_clip"}},
)


@pytest.mark.slow
def test_the_table_has_designs_at_their_price_and_the_effects_that_they_detect(
    counted_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = options_of(STUDY, ["--plan", "--accelerator", "H100", "--noise", "0.004"])
    price = Price(options, [])
    write_frontier(Foreseen(options, price), str(tmp_path / "out"))
    with (tmp_path / "out" / "frontier.csv").open() as file:
        rows = list(csv.DictReader(file))
    by_design = {(row["design"], int(row["seeds"])): row for row in rows}
    own = by_design["this study", 4]
    # Half of 16 cells: 4 at each level. 32 trials less the mean, 4 effects, 3 groups of pairs that
    # cannot be told apart, and 3 seeds leave 21.
    effect, se = float(own["detectable"]), 0.004 * (2 / (4 * 4)) ** 0.5
    assert t_power(effect, se, 21) == pytest.approx(0.8, abs=1e-4)
    assert float(own["cost"]) == pytest.approx(4 / 3 * price.dollars(price.others[0]), rel=1e-4)
    # Twice the cells at half the seeds: about as much for as much, but no cheaper.
    whole = by_design["all combinations", 2]
    assert float(whole["cost"]) == pytest.approx(float(own["cost"]), rel=0.02)
    assert float(whole["detectable"]) == pytest.approx(effect, rel=0.05)
    # One at a time: a cell at each level, 20 trials less 5 cells and 3 seeds.
    single = by_design["one factor at a time", 4]
    assert t_power(float(single["detectable"]), 0.004 * (2 / 4) ** 0.5, 12) == pytest.approx(
        0.8, abs=1e-4
    )
    drawn = ElementTree.parse(tmp_path / "out" / "frontier.svg").getroot()
    words = [element.text for element in drawn.iter(f"{SVG}text")]
    assert any("Dollars on H100" in str(one) for one in words)
    assert "this study: 8 cells" in words and "3 seeds" in words
    num_dots = sum("off" in str(e.get("class")) for e in drawn.iter(f"{SVG}circle"))
    assert num_dots == len(rows) - 1  # the planned one is full
    assert "written" in capsys.readouterr().err


@pytest.mark.timeout(120)
@pytest.mark.slow
def test_combinations_that_are_too_many_to_draw_are_not_made(
    counted_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = [f"augment.image_{view}.{name}" for view in "ab" for name in DISTORTIONS]
    fields += [f"optimizer.{name}" for name in ("lr", "weight_decay", "beta1", "beta2")]
    base = Recipe.paper(objective=DECLIP)
    many = Study(
        name="many",
        question="?",
        base=base,
        factors=tuple(
            Factor(path.replace(".", "_"), at=path, levels=(base.get(path), base.get(path) / 2))
            for path in fields
        ),
        responses=("zeroshot/top1_of_100",),
        seeds=2,
        fraction=4,
        scales={"demo": {"image.name": "resnet50_clip"}},
    )
    assert len(many.factors) == 24
    options = options_of(many, ["--plan", "--accelerator", "H100", "--noise", "0.004"])
    write_frontier(Foreseen(options, Price(options, [])), str(tmp_path))
    with (tmp_path / "frontier.csv").open() as file:
        drawn = {(row["design"], row["cells"]) for row in csv.DictReader(file)}
    assert drawn == {("this study", "64"), ("one factor at a time", "25")}


def test_costs_in_thousands_are_said_to_be() -> None:
    def titles(cost: float) -> str:
        curve = Frontier("all: 8 cells", [Point(2, cost, 0.01), Point(3, 1.5 * cost, 0.007)])
        return frontier_figure(
            [curve], present=(0, 3), x_title="Dollars", y_title="Effect", wanted=0.005, scale=100
        ).inner

    assert "Dollars (thousands)" in titles(20_000) and "(thousands)" not in titles(20)
    assert ">3 seeds<" in titles(20) and ">0.5<" in titles(20)
