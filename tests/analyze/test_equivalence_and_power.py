"""Equivalence, non-inferiority, power and the number of seeds.

Oracles: R 4.2.2's power.t.test, power.anova.test, pwr and t.test in oracles.json; statsmodels'
ttost_paired and TTestPower; scipy's noncentral t; simulated studies.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.power import TTestIndPower, TTestPower
from statsmodels.stats.weightstats import ttost_paired

from seedbed.analyze import AnalysisError, anova, contrasts, equivalence, non_inferiority
from seedbed.analyze.stats.power import (
    Plan,
    detectable_difference,
    f_power,
    power_table,
    residual_sigma,
    sample_size,
    seeds_for_half_width,
    seeds_needed,
    t_power,
)

ORACLES = json.loads((Path(__file__).parent / "oracles.json").read_text())["oracles"]
POWER = ORACLES["power_R"]["expected"]


def sleep() -> pd.DataFrame:
    oracle = ORACLES["R_sleep_paired"]["data"]
    return pd.DataFrame(oracle["rows"], columns=oracle["columns"])


def asked(question: Callable[..., pd.DataFrame], margin: float, **options: Any) -> pd.Series:
    options = {"of": "group", "baseline": "2", "block": "ID"} | options
    return question(sleep(), "extra", ["group"], margin=margin, **options).iloc[0]


def levels(*differences: float, noise: float = 0.001, num_seeds: int = 4) -> pd.DataFrame:
    random = np.random.default_rng(5)
    rows = [
        (level, seed, "completed", 0.4 + gap + 0.01 * seed + random.normal(0, noise))
        for level, gap in enumerate((0.0, *differences))
        for seed in range(num_seeds)
    ]
    return pd.DataFrame(rows, columns=["A", "seed", "status", "top1"])


def test_two_one_sided_tests_are_r_s_and_statsmodels() -> None:
    wanted = ORACLES["R_sleep_paired"]["expected"]["tost_paired_margin_3"]
    found = asked(equivalence, 3.0)
    got = {name: found[name] for name in ("p_lower", "p_upper", "p")}
    assert got == pytest.approx(wanted, rel=1e-9)
    first, second = (sleep().query("group == @g")["extra"].to_numpy() for g in ("1", "2"))
    theirs = ttost_paired(first, second, -3.0, 3.0)
    assert found["p"] == pytest.approx(theirs[0], rel=1e-9)
    assert found["verdict"] == "equivalent"
    # The 90 % interval, not the 95 % one of the two-sided test.
    assert found["ci_low"] == pytest.approx(-2.29300526703, rel=1e-9)
    assert found["ci_high"] == pytest.approx(2 * -1.58 + 2.29300526703, rel=1e-9)


def test_non_inferiority_is_r_s_one_sided_test() -> None:
    wanted = ORACLES["R_sleep_paired"]["expected"]["noninferiority_margin_3"]
    found = asked(non_inferiority, 3.0)
    got = [found["t"], found["p"], found["ci_low"]]
    assert got == pytest.approx([wanted["t"], wanted["p"], wanted["lower_95_one_sided"]], rel=1e-9)
    assert found["verdict"] == "non-inferior"
    assert asked(non_inferiority, 0.5)["verdict"] == "inferior"
    # A loss in the response is a gain when less is better.
    assert asked(non_inferiority, 0.1, higher_is_better=False)["verdict"] == "non-inferior"


def test_verdicts_follow_the_interval_and_the_margin() -> None:
    trials = levels(0.001, 0.05, 0.011, noise=0.0005)
    options = {"of": "A", "baseline": 0, "margin": 0.011, "block": "seed"}
    found = equivalence(trials, "top1", ["A"], **options)
    assert list(found["verdict"]) == ["equivalent", "different", "inconclusive"]
    for row in found.itertuples():
        assert (row.p <= 0.05) == (row.ci_low > -0.011 and row.ci_high < 0.011)
    plain = contrasts(trials, "top1", ["A"], of="A", baseline=0, block="seed")
    assert (found["ci_high"] < plain["ci_high"]).all()


def test_equivalence_of_many_levels_is_adjusted_and_says_so() -> None:
    trials = levels(0.0, 0.0, 0.0, noise=0.004)
    found = equivalence(trials, "top1", ["A"], of="A", baseline=0, margin=0.0075, block="seed")
    split = found[(found["p"] <= 0.05) & (found["p_adjusted"] > 0.05)]
    assert len(split) and (split["verdict"] == "inconclusive").all()
    assert split["note"].str.contains("Holm").all()


def test_no_verdict_without_an_interval() -> None:
    for trials in (levels(0.0, num_seeds=1), levels(0.0).assign(top1=0.4)):
        for question in (equivalence, non_inferiority):
            found = question(trials, "top1", ["A"], of="A", baseline=0, margin=1.0, block="seed")
            assert found.loc[0, "verdict"] == "inconclusive" and found.loc[0, "note"]
            assert found[["p", "ci_low", "ci_high"]].isna().all(axis=None)
    gone = levels(0.0, 0.0)
    gone.loc[gone["A"] == 2, "status"] = "failed"
    found = equivalence(gone, "top1", ["A"], of="A", baseline=0, margin=1.0, block="seed")
    assert list(found["verdict"]) == ["equivalent", "not estimable"]


@pytest.mark.parametrize("margin", [0.0, -1.0, math.nan, math.inf, "1", None, True])
def test_a_margin_must_be_a_positive_number(margin: Any) -> None:
    with pytest.raises(AnalysisError, match="margin is"):
        asked(equivalence, margin)
    with pytest.raises(AnalysisError, match="alpha is"):
        asked(equivalence, 1.0, alpha=0.5)


def test_power_and_sample_sizes_are_r_s() -> None:
    two, one = Plan({"A": 2}, blocked=False), math.sqrt(1)
    assert t_power(1, two.se("A", 1, 20), two.error_df(20)) == pytest.approx(
        POWER["power.t.test(n=20,delta=1,sd=1)"],
        abs=5e-7,  # R leaves the far tail out: 2e-7
    )
    found = sample_size(lambda n: t_power(1, two.se("A", 1, n), two.error_df(n)), 0.9)
    assert found == pytest.approx(POWER["power.t.test(power=.90,delta=1,sd=1) n"], abs=5e-4)
    found = sample_size(lambda n: t_power(1, one / math.sqrt(n), n - 1), 0.9)
    key = 'power.t.test(power=.90,delta=1,sd=1,type="paired") n'
    assert found == pytest.approx(POWER[key], abs=5e-4)
    found = sample_size(lambda n: f_power(0.25, 5, n), 0.8)
    assert found == pytest.approx(POWER["pwr.anova.test(k=5,f=.25,power=.80) n"], abs=5e-4)
    # R's between.var has n - 1 = 3 below it, f^2 has n = 4.
    found = sample_size(lambda n: f_power(math.sqrt(3 / 4 / 3), 4, n), 0.8)
    key = "power.anova.test(groups=4,between.var=1,within.var=3,power=.80) n"
    assert found == pytest.approx(POWER[key], abs=5e-4)


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


def test_seeds_for_a_half_width_are_r_s() -> None:
    for sd, half, n in POWER["smallest_n_with_t975_sd_over_sqrt_n_le_half"]["rows"]:
        assert seeds_for_half_width(sd, half) == n
    assert seeds_for_half_width(1.0, 1e-3, most=100) is None


def test_the_detectable_difference_is_found_with_the_power_it_names() -> None:
    for df, power in itertools.product((2, 6, 40), (0.5, 0.8, 0.95)):
        least = detectable_difference(0.3, df, power=power)
        assert t_power(least, 0.3, df) == pytest.approx(power, abs=1e-8)


def test_a_plan_has_the_error_that_the_analysis_will_have() -> None:
    for blocked, order, num_seeds in itertools.product((True, False), (1, 2, 3), (2, 3, 5)):
        plan = Plan({"A": 2, "B": 3, "C": 2}, order=order, blocked=blocked)
        rows = itertools.product(range(2), range(3), range(2), range(num_seeds))
        trials = pd.DataFrame(rows, columns=["A", "B", "C", "seed"])
        trials["y"] = np.random.default_rng(0).normal(size=len(trials))
        block = "seed" if blocked else None
        table = anova(trials, "y", ["A", "B", "C"], block=block, order=order)
        assert table.loc["Residual", "df"] == plan.error_df(num_seeds)
        sigma = math.sqrt(table.loc["Residual", "mean_sq"])
        options = {"block": block, "order": order}
        found = contrasts(trials, "y", ["A", "B", "C"], of="B", baseline=0, **options)
        assert found["se"].iloc[0] == pytest.approx(plan.se("B", sigma, num_seeds))
        assert residual_sigma(trials, "y", ["A", "B", "C"], **options) == pytest.approx(sigma)


def test_an_interaction_s_error_is_twice_a_main_effect_s_in_a_two_by_two() -> None:
    plan = Plan({"A": 2, "B": 2})
    assert plan.se("A:B", 1.0, 3) == pytest.approx(2 * plan.se("A", 1.0, 3))
    assert plan.se("A:B", 1.0, 3) == pytest.approx(math.sqrt(4 / 3))


def test_seeds_needed_is_the_first_that_reaches_the_power() -> None:
    plan = Plan({"A": 2, "B": 2})
    num = seeds_needed(plan, "A", sigma=0.5, difference=0.8)
    assert num is not None
    table = power_table(plan, sigma=0.5, differences=[0.8], num_seeds=range(1, 30), effects=["A"])
    enough = table.loc[table["power"] >= 0.8, "num_seeds"]
    assert num == enough.min()
    assert seeds_needed(plan, "A", sigma=0.5, difference=0.001, most=50) is None


def test_simulated_studies_succeed_as_often_as_the_power_says() -> None:
    plan, random, num_studies = Plan({"A": 2, "B": 2}), np.random.default_rng(6), 400
    expected = t_power(0.9, plan.se("A", 0.6, 3), plan.error_df(3))
    hits = 0
    for _ in range(num_studies):
        rows = itertools.product(range(2), range(2), range(3))
        trials = pd.DataFrame(rows, columns=["A", "B", "seed"])
        trials["y"] = 0.9 * trials["A"] + trials["seed"] + random.normal(0, 0.6, 12)
        found = contrasts(trials, "y", ["A", "B"], of="A", baseline=0, block="seed")
        hits += bool(found.loc[0, "p"] < 0.05)
    error = math.sqrt(expected * (1 - expected) / num_studies)
    assert abs(hits / num_studies - expected) < 3 * error


def test_the_power_table_keeps_the_rules_on_seeds() -> None:
    table = power_table(Plan({"A": 2, "B": 2}), sigma=0.5, differences=[0.5, 1.0])
    assert list(table.columns) == [
        "effect", "num_seeds", "df", "se", "half_width", "difference", "power",
        "detectable_difference", "note",
    ]  # fmt: skip
    assert set(table["effect"]) == {"A", "B", "A:B"} and len(table) == 3 * 10 * 2
    few = table["num_seeds"] < 3  # two seeds leave 3 degrees of freedom
    assert table.loc[few, ["se", "power", "detectable_difference"]].isna().all(axis=None)
    assert table.loc[few, "note"].str.contains("seed").all()
    assert table.loc[~few, "power"].between(0, 1).all() and (table.loc[~few, "note"] == "").all()
    one = table[(table["effect"] == "A:B") & (table["difference"] == 1.0)]["power"].dropna()
    assert one.is_monotonic_increasing


def test_the_upper_limit_of_sigma_is_the_chi_square_one() -> None:
    trials = levels(0.1, num_seeds=5)
    upper = residual_sigma(trials, "top1", ["A"], block="seed", confidence=0.8)
    mean_sq = anova(trials, "top1", ["A"], block="seed").loc["Residual", "mean_sq"]
    assert upper == pytest.approx(
        math.sqrt(
            mean_sq * 4 / 1.648776618,
        ),
        rel=1e-8,
    )  # qchisq(0.2, 4)
    with pytest.raises(AnalysisError, match="one seed"):
        residual_sigma(levels(0.1, num_seeds=1), "top1", ["A"])


def test_impossible_plans_are_refused_in_words() -> None:
    with pytest.raises(AnalysisError, match="two levels or more"):
        Plan({"A": 1})
    with pytest.raises(AnalysisError, match="no factor of the plan"):
        Plan({"A": 2}).se("B", 1.0, 3)
    for wrong in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(AnalysisError, match="sigma is"):
            seeds_needed(Plan({"A": 2}), "A", sigma=wrong, difference=1.0)
    with pytest.raises(AnalysisError, match="power is"):
        detectable_difference(1.0, 4, power=1.0)
