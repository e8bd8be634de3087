"""The power of t tests and the difference they find.

Oracles: R 4.2.2's power.t.test in oracles.json; statsmodels' TTestPower; simulated studies.
"""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.power import TTestIndPower, TTestPower

from seedbed.analyze import AnalysisError, contrasts
from seedbed.plan.power import detectable_difference, t_power

ORACLES = json.loads(
    (Path(__file__).parents[1] / "analyze" / "stats" / "oracles.json").read_text()
)["oracles"]
POWER = ORACLES["power_R"]["expected"]


def test_power_and_sample_sizes_are_r_s() -> None:
    assert t_power(1, math.sqrt(2 / 20), 38) == pytest.approx(
        POWER["power.t.test(n=20,delta=1,sd=1)"],
        abs=5e-7,  # R leaves the far tail out: 2e-7
    )
    # R's sizes are fractions: with so many trials the power is what was asked for.
    n = POWER["power.t.test(power=.90,delta=1,sd=1) n"]
    assert t_power(1, math.sqrt(2 / n), 2 * n - 2) == pytest.approx(0.9, abs=1e-5)
    n = POWER['power.t.test(power=.90,delta=1,sd=1,type="paired") n']
    assert t_power(1, 1 / math.sqrt(n), n - 1) == pytest.approx(0.9, abs=2e-5)


def test_power_is_statsmodels() -> None:
    for effect, n in itertools.product((0.2, 0.8, 1.7), (3, 5, 20)):
        theirs = TTestPower().power(effect, n, 0.05)
        assert t_power(effect, 1 / math.sqrt(n), n - 1) == pytest.approx(theirs, abs=1e-9)
        theirs = TTestIndPower().power(effect, n, 0.01)
        found = t_power(effect, math.sqrt(2 / n), 2 * n - 2, alpha=0.01)
        assert found == pytest.approx(theirs, abs=1e-9)


def test_power_of_large_differences_stays_a_probability() -> None:
    for shift, df in itertools.product((0.0, 5.0, 40.0, 300.0, 1e4), (1, 2, 6, 200)):
        found = t_power(shift, 1.0, df)
        assert 0 < found <= 1
        assert found == pytest.approx(0.05) if shift == 0 else found > 0.24
    assert t_power(300.0, 1.0, 6) == pytest.approx(1.0)


def test_the_detectable_difference_is_found_with_the_power_it_names() -> None:
    for df, power in itertools.product((2, 6, 40), (0.5, 0.8, 0.95)):
        least = detectable_difference(0.3, df, power=power)
        assert t_power(least, 0.3, df) == pytest.approx(power, abs=1e-8)


@pytest.mark.slow
def test_simulated_studies_succeed_as_often_as_the_power_says() -> None:
    random, num_studies = np.random.default_rng(6), 400
    # Six trials at each level of A; 12 less 4 cells and 2 seeds leave 6 degrees of freedom.
    expected = t_power(0.9, 0.6 * math.sqrt(2 / 6), 6)
    hits = 0
    for _ in range(num_studies):
        rows = itertools.product(range(2), range(2), range(3))
        trials = pd.DataFrame(rows, columns=["A", "B", "seed"])
        trials["y"] = 0.9 * trials["A"] + trials["seed"] + random.normal(0, 0.6, 12)
        found = contrasts(trials, "y", ["A", "B"], of="A", baseline=0, block="seed")
        hits += bool(found.loc[0, "p"] < 0.05)
    error = math.sqrt(expected * (1 - expected) / num_studies)
    assert abs(hits / num_studies - expected) < 3 * error


def test_impossible_powers_are_refused_in_words() -> None:
    for wrong in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(AnalysisError, match="se is"):
            t_power(1.0, wrong, 4)
    with pytest.raises(AnalysisError, match="power is"):
        detectable_difference(1.0, 4, power=1.0)
