"""Figures of the model. Oracles: places worked out from the numbers, scipy's normal plot."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy import stats

from seedbed.analyze.figures.effects_by_size import MOST_BARS, Bar, effect_pareto
from seedbed.analyze.figures.half_normal import half_normal
from seedbed.analyze.figures.limits import Limit
from seedbed.analyze.figures.marks import Figure
from seedbed.analyze.figures.points import MOST_RAW
from seedbed.analyze.figures.residuals import residuals
from seedbed.analyze.figures.seeds import seeds_needed


def svg_of(drawn: Figure | None) -> str:
    assert drawn is not None
    return drawn.inline()


def marks(svg: str, tag: str, kind: str) -> list[dict[str, str]]:
    """The elements of one tag whose class holds the word `kind`, in order."""
    root = ElementTree.fromstring(svg)
    found = [e for e in root.iter() if e.tag.endswith(f"}}{tag}") or e.tag == tag]
    return [e.attrib for e in found if kind in e.attrib.get("class", "").split()]


def percent(text: str) -> float:
    return float(text.removesuffix("%"))


def test_bars_are_as_long_as_their_effects_and_sorted() -> None:
    sizes = [0.5, -2.0, math.nan, 1.0]
    svg = svg_of(
        effect_pareto(
            [Bar(f"e{n}", str(size), size) for n, size in enumerate(sizes)], scale=1, title="Size"
        )
    )
    lengths = [percent(bar["x2"]) for bar in marks(svg, "line", "bar")]
    assert [length / lengths[0] for length in lengths] == pytest.approx([1, 0.5, 0.25], abs=1e-3)
    assert marks(svg, "line", "bar")[0]["class"] == "bar s2"  # taken away
    assert svg.index("e1") < svg.index("e3") < svg.index("e0")


def test_of_many_effects_the_largest_are_drawn_and_the_figure_says_so() -> None:
    svg = svg_of(
        effect_pareto([Bar(f"e{n}", "", float(n)) for n in range(40)], scale=1, title="Size")
    )
    assert len(marks(svg, "line", "bar")) == MOST_BARS
    assert f"the {MOST_BARS} largest of 40" in svg and "e39" in svg and ">e0<" not in svg


def test_effects_stand_over_their_quantiles_and_the_line_has_the_error_s_slope() -> None:
    effects = [("a", 2.0, 2.0), ("b", -0.3, 0.9), ("c", 0.1, 0.3), ("d", math.nan, 0.1)]
    svg = svg_of(half_normal(effects, scale=1, x_title="q", limits=[Limit(1.0, "ME")], pse=0.4))
    (named,) = marks(svg, "circle", "mean")  # only what lies beyond the limit is named
    others = marks(svg, "circle", "off")
    assert len(others) == 2 and ">a<" in svg and ">b<" not in svg
    (slope,) = marks(svg, "line", "front")
    x, y = percent, float
    run = (x(slope["x2"]) - x(slope["x1"])) / (x(named["cx"]) - x(slope["x1"]))
    rise = (y(slope["y2"]) - y(slope["y1"])) / (y(named["cy"]) - y(slope["y1"]))
    assert rise / run == pytest.approx(0.4 / 1.0, rel=0.01)


def test_the_normal_plot_has_the_quantiles_of_scipy() -> None:
    random = np.random.default_rng(0)
    sizes = random.normal(size=40)
    svg = svg_of(residuals(list(random.normal(size=40)), list(sizes), list(sizes), scale=1))
    dots = marks(svg, "circle", "seed")
    assert len(dots) == 80
    drawn = np.array([percent(dot["cx"]) for dot in dots[40:]])
    # scipy's positions are Filliben's, ours Blom's: nearly the same line.
    expected, _ = stats.probplot(sizes, fit=False)
    assert np.corrcoef(drawn, expected)[0, 1] > 0.9995
    heights = np.array([float(dot["cy"]) for dot in dots[40:]])
    assert (np.diff(heights) <= 0).all()  # upwards


def test_ten_thousand_residuals_are_thinned_openly_and_keep_their_extremes() -> None:
    random = np.random.default_rng(0)
    values = [*random.normal(size=9_999), 40.0]
    svg = svg_of(residuals(values, values, values, scale=1))
    assert f"{MOST_RAW:,} of 10,000 trials are drawn" in svg and len(svg) < 400_000
    every = marks(svg, "circle", "seed")
    assert min(float(dot["cy"]) for dot in every[:MOST_RAW]) < 60  # the one at 40


def test_precision_falls_along_the_seeds_and_the_present_ones_are_marked() -> None:
    curve = [(n, 1 / math.sqrt(n)) for n in range(3, 11)]
    svg = svg_of(seeds_needed([("depth", curve)], present=3, scale=1, y_title="half",
                       limits=[Limit(0.4, "margin")]))  # fmt: skip
    dots = marks(svg, "circle", "mean")[1:]  # the first is the legend's
    heights = np.array([float(dot["cy"]) for dot in dots])
    values = np.array([value for _, value in curve])
    slope = np.polyfit(values, heights, 1)[0]
    assert np.allclose(heights, heights[0] + slope * (values - values[0]), atol=0.1)
    (now,) = marks(svg, "line", "zero")
    assert now["x1"] == dots[0]["cx"] and ">margin<" in svg


@pytest.mark.parametrize(
    "drawn",
    [
        effect_pareto([], scale=1, title=""),
        effect_pareto([Bar("a", "", math.nan)], scale=1, title=""),
        half_normal([("a", 1.0, 1.0)], scale=1, x_title=""),
        residuals([], [], [], scale=1),
        seeds_needed([("a", [(3, 1.0)])], present=3, scale=1, y_title=""),
    ],
)
def test_nothing_to_draw_draws_nothing(drawn: Figure | None) -> None:
    assert drawn is None


def test_names_cannot_break_a_figure() -> None:
    svg = svg_of(effect_pareto([Bar("<b>&", "1", 1.0)], scale=1, title="<i>"))
    assert "<b>" not in svg and "<i>" not in svg
    ElementTree.fromstring(svg)
