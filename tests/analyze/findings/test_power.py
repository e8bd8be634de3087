"""Power by simulation. Oracles: the closed form on balanced designs, statsmodels, alpha where
nothing was planted, and the report's own analysis and verdicts of the same table."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.power import TTestPower

from seedbed.analyze.findings.drawn import (
    Drawn,
    claimed,
    draw,
    interaction,
    main_effect,
    tables,
    verdicts,
)
from seedbed.analyze.findings.power import Power
from seedbed.analyze.stats.means import contrasts, interaction_contrast
from seedbed.plan.plan import Plan, plan
from seedbed.plan.surface import Surface
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import scale_named
from seedbed.study.claim import Claim
from seedbed.study.contrast import Contrast
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.variants import CLIP

DRAWS = 800
CLAIMS = (
    Claim("more", "?", Contrast("depth", 3, 1, margin=0.002)),
    Claim("same", "?", Contrast("depth", 2, 1, direction="within", margin=0.01)),
    Claim("both", "?", Contrast("depth", 3, 1), Contrast("lr", 2e-3, 1e-3, direction="below")),
    Claim("less", "?", Contrast("depth", 3, 1, at={"lr": 2e-3}, less_at={"lr": 1e-3})),
)


def planned(
    seeds: int = 4, error: str = "pooled", depths: tuple[int, ...] = (1, 2, 3), factors: int = 2
) -> Plan:
    study = Study(
        name="power",
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=(
            Factor("depth", at="text.layers", levels=depths, baseline=1),
            Factor("lr", at="optimizer.lr", levels=(1e-3, 2e-3), baseline=1e-3),
        )[:factors],
        responses=("zeroshot/top1_of_100",),
        claims=CLAIMS if factors == 2 else (),
        error=error,
    )
    return plan(study, scale_named("demo"), seeds=tuple(range(seeds)))


SURFACE = Surface(
    mean=0.3, noise=0.005, seed_spread=0.02, effects={"depth=3": 0.008, "depth=2:lr=0.002": 0.01}
)


def error_of(share: float, num_draws: int = DRAWS) -> float:
    return 3.5 * math.sqrt(max(share * (1 - share), 0.01) / num_draws)


@pytest.mark.slow
def test_the_closed_form_is_what_is_drawn_of_a_balanced_design() -> None:
    power = Power(planned(), SURFACE, 600, 0.0)
    effects = power.effects()
    assert {one.term for one in effects} == {"depth", "lr", "depth:lr"}
    planted = {(one.term, one.comparison): one.planted for one in effects}
    assert planted["depth", "3 minus 1"] == pytest.approx(0.008)
    assert planted["depth", "2 minus 1"] == pytest.approx(0.005)  # at one of two rates
    assert planted["depth:lr", "2 at 0.002"] == pytest.approx(0.01)
    for one in effects:
        assert abs(one.drawn - one.closed) < error_of(one.closed, 600), one
        assert one.lost == pytest.approx(one.drawn, abs=error_of(one.closed, 600))
    for claim in power.claims():
        if claim.claim != "both":  # of which the closed form is a bound
            assert abs(claim.supported - claim.closed) < error_of(claim.closed, 600), claim
        else:
            assert claim.supported <= claim.closed + error_of(claim.closed, 600)


def test_two_cells_have_the_power_of_statsmodels_paired_test() -> None:
    two = planned(seeds=6, depths=(1, 2), factors=1).design()
    surface = Surface(noise=0.004, seed_spread=0.01, effects={"depth=2": 0.006})
    found = draw(two, surface, [main_effect("depth", 2, 1, 2)], draws=DRAWS).found(0)
    theirs = TTestPower().power(0.006 / (0.004 * math.sqrt(2)), 6, 0.05)
    assert abs(found - theirs) < error_of(theirs)


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0.0, 0.1])
def test_where_cells_vary_on_their_own_no_more_is_found_than_alpha_of_what_is_not_there(
    lost: float,
) -> None:
    power = Power(planned(error="cells"), Surface(noise=0.005), DRAWS, lost)
    for one in power.effects():
        assert one.planted == pytest.approx(0, abs=1e-12)
        assert one.drawn < 0.05 + error_of(0.05) and one.lost < 0.05 + error_of(0.05)
        assert one.closed == pytest.approx(0.05, abs=1e-9)


@pytest.mark.slow
def test_where_cells_vary_on_their_own_the_closed_form_is_near() -> None:
    power = Power(planned(error="cells"), SURFACE, DRAWS, 0.0)
    for one in power.effects():
        assert abs(one.drawn - one.closed) < 0.02 + error_of(one.closed), one


@pytest.mark.slow
def test_lost_trials_cost_power_and_a_study_that_lost_nearly_all_finds_nothing() -> None:
    power = Power(planned(), SURFACE, 300, 0.3)
    (effect,) = (one for one in power.effects() if one.comparison == "3 minus 1")
    assert effect.lost < effect.drawn - 0.05
    asked = [main_effect("depth", 3, 1, 2)]
    gone = draw(planned().design(), SURFACE, asked, draws=20, lost=0.97)
    assert math.isnan(gone.found(0)) and np.isnan(gone.errors).all()


def test_a_draw_is_analysed_as_the_report_analyses_it() -> None:
    """The same tables, some trials lost, by the public functions."""
    design, how = planned(error="cells").design(), {"draws": 3, "lost": 0.1}
    asked = [
        main_effect("depth", 3, 1, 2),
        interaction("depth", (3, 1), "lr", (2e-3, 1e-3)),
        claimed(CLAIMS[0].contrasts[0]),
    ]
    found = draw(design, SURFACE, asked, **how)  # type: ignore[arg-type]
    for number, one in enumerate(tables(design, SURFACE, **how)):  # type: ignore[arg-type]
        assert one is not None and len(one.y) < 24
        columns = {name: [one.levels[name][n] for n in one.codes[name]] for name in one.codes}
        table = pd.DataFrame({**columns, "y": one.y})
        for name in design.factors:
            table[name] = pd.Categorical(table[name], list(one.levels[name]))
        given: Any = {"block": "seed", "error": "cells"}
        main = contrasts(table, "y", ["depth", "lr"], of="depth", baseline="1", **given)
        both = interaction_contrast(table, "y", "depth", "lr", **given)
        mains = main[main["level"] == "3"].iloc[0]
        crossed = both[(both["kind"] == "interaction") & (both["a_level"] == "3")].iloc[0]
        for place, theirs in ((0, mains), (1, crossed), (2, mains)):
            ours = found.estimates[number, place], found.errors[number, place]
            assert ours == pytest.approx((theirs["difference"], theirs["se"]))
            assert found.dfs[number, place] == pytest.approx(theirs["df"])


def test_verdicts_are_counted_by_the_intervals_that_decide() -> None:
    # Far above, far below, and one without an error.
    estimates = np.array([[0.05], [-0.05], [0.05]])
    errors = np.array([[0.001], [0.001], [np.nan]])
    found = Drawn(estimates, errors, np.full((3, 1), 10.0))
    above = Claim("a", "?", Contrast("depth", 3, 1))
    assert verdicts(found, [0], above) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    within = Claim("w", "?", Contrast("depth", 3, 1, direction="within", margin=0.2))
    assert verdicts(found, [0], within) == (pytest.approx(2 / 3), 0)
