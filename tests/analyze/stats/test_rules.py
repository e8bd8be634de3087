"""The rules that keep an analysis honest, each shown on a table made to break it.

Oracles: arithmetic on tables whose truth is planted; statsmodels for the numbers of full designs,
scipy for exact binomial intervals.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy.stats import binomtest
from statsmodels.stats.anova import anova_lm

from seedbed.analyze import (
    AnalysisError,
    anova,
    contrasts,
    effects_two_level,
    interaction_contrast,
    marginal_means,
)
from seedbed.analyze.stats.missing import divergence_rates, fragile_levels, missing_trials
from seedbed.analyze.stats.two_level import lenth

NUMBERS = ["F", "p", "partial_eta_sq", "omega_sq"]


def table(num_seeds: int = 3, noise: float = 0.01) -> pd.DataFrame:
    """Two factors, planted main effects, a shift per seed; deterministic."""
    random = np.random.default_rng(3)
    cells = itertools.product(["x", "y"], ["p", "q", "r"], range(num_seeds))
    rows = []
    for a, b, seed in cells:
        value = 0.3 + 0.05 * (a == "y") + 0.02 * (b == "r") + 0.1 * seed + random.normal(0, noise)
        rows.append((a, b, seed, "completed", value))
    return pd.DataFrame(rows, columns=["A", "B", "seed", "status", "top1"])


def blocked(trials: pd.DataFrame) -> pd.DataFrame:
    return anova(trials, "top1", ["A", "B"], block="seed")


def a_contrast(trials: pd.DataFrame, **options: Any) -> pd.Series:
    options.setdefault("block", "seed")
    return contrasts(trials, "top1", ["A", "B"], of="A", baseline="x", **options).iloc[0]


def test_one_seed_gives_effects_without_p_or_interval() -> None:
    trials = table(num_seeds=1)
    assert blocked(trials)[NUMBERS].isna().all(axis=None)
    # An additive model leaves degrees of freedom, but they are the interaction's, not the seeds'.
    additive = anova(trials, "top1", ["A", "B"], order=1)
    assert additive.loc["Residual", "df"] == 2
    assert additive[NUMBERS].isna().all(axis=None)
    found = a_contrast(trials)
    assert found["difference"] == pytest.approx(0.05, abs=0.03)
    assert found[["se", "t", "p", "p_adjusted", "ci_low", "ci_high"]].isna().all()
    assert "one seed" in found["note"]
    means = marginal_means(trials, "top1", ["A", "B"], "A", block="seed")
    assert means["mean"].notna().all() and means["ci_low"].isna().all()


def test_two_seeds_need_six_degrees_of_freedom() -> None:
    few = table(num_seeds=2)
    assert blocked(few).loc["Residual", "df"] == 5
    assert np.isnan(a_contrast(few)["ci_low"]) and "two seeds" in a_contrast(few)["note"]
    enough = a_contrast(few, order=1)
    assert enough["df"] == 7 and enough["ci_low"] < 0.05 < enough["ci_high"]


def test_repeated_runs_without_a_seed_column_count_as_seeds() -> None:
    once = table(num_seeds=1).drop(columns="seed")
    assert anova(once, "top1", ["A", "B"], order=1)["p"].isna().all()
    thrice = table(num_seeds=3).drop(columns="seed")
    assert anova(thrice, "top1", ["A", "B"]).loc["A", "p"] > 0


def test_a_full_design_has_the_numbers_of_statsmodels() -> None:
    trials = table()
    fit = smf.ols("top1 ~ C(seed) + C(A) * C(B)", trials).fit()
    theirs = anova_lm(fit, typ=2)
    ours = blocked(trials)
    for term, name in {"seed": "C(seed)", "A": "C(A)", "B": "C(B)", "A:B": "C(A):C(B)"}.items():
        assert ours.loc[term, "sum_sq"] == pytest.approx(theirs.loc[name, "sum_sq"], rel=1e-9)
        assert ours.loc[term, "p"] == pytest.approx(theirs.loc[name, "PR(>F)"], rel=1e-7)


def test_only_completed_trials_count_however_good_the_others_look() -> None:
    trials = table()
    clean = trials.drop(index=[0, 7])
    for status in ("interrupted", "failed", "diverged", "never_started"):
        dirty = trials.copy()
        dirty.loc[[0, 7], "status"] = status
        dirty.loc[[0, 7], "top1"] = [np.inf, 0.99]
        pd.testing.assert_frame_equal(blocked(dirty), blocked(clean))


def test_a_completed_trial_that_lacks_the_response_is_left_out() -> None:
    trials = table()
    lacking = trials.copy()
    lacking.loc[[0, 7], "top1"] = np.nan
    pd.testing.assert_frame_equal(blocked(lacking), blocked(trials.drop(index=[0, 7])))


def test_a_level_that_never_completed_is_refused_and_the_rest_is_given() -> None:
    trials = table()
    trials.loc[trials["B"] == "q", "status"] = "failed"
    found = contrasts(trials, "top1", ["B"], of="B", baseline="p", block="seed").set_index("level")
    assert np.isnan(found.loc["q", "difference"]) and np.isnan(found.loc["q", "p_adjusted"])
    assert found.loc["q", "note"] == "not estimable: no completed trial at B q"
    assert found.loc["r", "difference"] == pytest.approx(0.02, abs=0.02)
    assert found.loc["r", "p_adjusted"] == found.loc["r", "p"]  # a family of one


def test_the_order_of_rows_changes_nothing() -> None:
    trials = table()
    shuffled = trials.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(blocked(trials), blocked(shuffled), rtol=1e-9)
    pd.testing.assert_frame_equal(
        interaction_contrast(trials, "top1", "A", "B", block="seed"),
        interaction_contrast(shuffled, "top1", "A", "B", block="seed"),
        rtol=1e-9,
    )


def test_text_decimals_and_floats_of_the_same_numbers_agree() -> None:
    trials = table().round(6)
    for kind in (str, lambda value: Decimal(str(value))):
        exact = trials.assign(top1=[kind(value) for value in trials["top1"]])
        pd.testing.assert_frame_equal(blocked(exact), blocked(trials), rtol=1e-9)


def test_a_pure_interaction_gives_no_importance_to_its_factors() -> None:
    # Both main effects are exactly 0; an importance score still says 0.63 and 0.37.
    rows = [
        (a, b, seed, (0.1 if (a == "x") == (b == "p") else -0.1) + shift * (-1) ** (a == "x"))
        for a, b in itertools.product("xy", "pq")
        for seed, shift in enumerate([0.01, -0.01, 0.02, -0.02])
    ]
    trials = pd.DataFrame(rows, columns=["A", "B", "seed", "top1"])
    found = anova(trials, "top1", ["A", "B"])
    for name in ("A", "B"):
        assert found.loc[name, "sum_sq"] == pytest.approx(0, abs=1e-15)
        assert found.loc[name, "p"] > 0.99
        assert found.loc[name, "partial_eta_sq"] < 1e-9
    assert found.loc["A:B", "p"] < 1e-6
    crossed = interaction_contrast(trials, "top1", "A", "B")
    assert list(crossed["difference"]) == pytest.approx([0.4, -0.2, 0.2])


def test_interaction_contrast_takes_other_factors_out_of_its_error() -> None:
    trials = pd.concat([table().assign(C=c, shift=s) for c, s in (("low", 0.0), ("high", 0.3))])
    trials["top1"] += trials["shift"]
    trials = trials.drop(columns="shift").reset_index(drop=True)
    naive = interaction_contrast(trials, "top1", "A", "B", block="seed", factors=["A", "B"])
    whole = interaction_contrast(trials, "top1", "A", "B", block="seed", factors=["A", "B", "C"])
    unasked = interaction_contrast(trials, "top1", "A", "B", block="seed")
    pd.testing.assert_frame_equal(unasked, whole)
    assert unasked.attrs["averaged_over"] == ["C"]
    assert list(naive["difference"]) == pytest.approx(list(whole["difference"]))
    assert (whole["se"] < naive["se"] / 5).all()


@pytest.mark.slow
def test_intervals_within_seeds_hold_the_truth_as_often_as_they_say() -> None:
    random, hits, num_studies = np.random.default_rng(11), 0, 200
    truth = 0.01
    for _ in range(num_studies):
        shift = random.normal(0, 0.05, 3)
        rows = [
            (level, seed, truth * (level == "new") + shift[seed] + random.normal(0, 0.01))
            for level, seed in itertools.product(["old", "new", "other"], range(3))
        ]
        trials = pd.DataFrame(rows, columns=["A", "seed", "top1"])
        trials = trials.drop(index=int(random.integers(9)))  # one trial fails
        found = contrasts(trials, "top1", ["A"], of="A", baseline="old", block="seed")
        row = found.set_index("level").loc["new"]
        hits += bool(row["ci_low"] <= truth <= row["ci_high"])
    # 95 % of 200 is 190; a normal interval, at about 81 %, would hold it 162 times.
    assert 180 <= hits <= 199


def test_missing_trials_are_named_with_their_reason() -> None:
    trials = table().assign(reason="")
    trials.loc[4, ["status", "reason"]] = ["diverged", "loss was nan"]
    found = missing_trials(trials, ["A", "B"])
    assert found.to_dict("records") == [
        {"A": "x", "B": "q", "seed": 1, "status": "diverged", "reason": "loss was nan"}
    ]


def test_divergence_rate_has_the_clopper_pearson_interval() -> None:
    trials = table()
    trials.loc[(trials["A"] == "x") & (trials.index < 3), "status"] = "diverged"
    trials.loc[8, "status"] = "failed"  # no outcome of training: not in the rate
    found = divergence_rates(trials, "A").set_index("level")
    assert found.loc["x", ["num_ended", "num_diverged"]].tolist() == [8, 3]
    for level, num_diverged, num_ended in (("x", 3, 8), ("y", 0, 9)):
        exact = binomtest(num_diverged, num_ended).proportion_ci(method="exact")
        got = found.loc[level, ["rate", "ci_low", "ci_high"]].tolist()
        assert got == pytest.approx([num_diverged / num_ended, exact.low, exact.high], abs=1e-9)


def test_a_difference_is_fragile_when_diverged_trials_could_turn_its_sign() -> None:
    trials = table(noise=0.001)
    trials["top1"] -= 0.1 * trials["seed"]
    arguments = {"of": "B", "baseline": "p", "block": "seed"}
    assert fragile_levels(trials, "top1", ["B"], **arguments) == set()
    trials.loc[(trials["B"] == "r") & (trials["seed"] > 0), "status"] = "diverged"
    assert fragile_levels(trials, "top1", ["B"], **arguments) == {"r"}


def test_half_fraction_names_each_effect_with_its_alias() -> None:
    # 2^(4-1) with D = ABC: every main effect is aliased with a three-factor interaction.
    signs = np.array(list(itertools.product([-1, 1], repeat=3)))
    design = pd.DataFrame(signs, columns=["A", "B", "C"])
    design["D"] = design["A"] * design["B"] * design["C"]
    design["y"] = 3.0 * design["A"] - 2.0 * design["A"] * design["B"]
    found = effects_two_level(design, "y", ["A", "B", "C", "D"])
    assert list(found.index) == ["A", "B", "C", "D", "A:B", "A:C", "A:D"]
    assert found.loc["A", "alias"] == "B:C:D" and found.loc["A:B", "alias"] == "C:D"
    assert found.attrs["defining_relation"] == ["A:B:C:D"]
    assert found.loc["A", "effect"] == pytest.approx(6) and found.loc["A:B", "effect"] == -4
    reflected = design.assign(D=-design["D"])
    found = effects_two_level(reflected, "y", ["A", "B", "C", "D"])
    assert found.loc["A", "alias"] == "-B:C:D"


def test_half_normal_quantiles_follow_the_size_of_the_effects() -> None:
    signs = list(itertools.product([-1, 1], repeat=3))
    design = pd.DataFrame(signs, columns=["A", "B", "C"])
    design["y"] = np.arange(8.0) ** 1.5
    found = effects_two_level(design, "y", ["A", "B", "C"])
    order = found["effect"].abs().sort_values().index
    assert found.loc[order, "half_normal_quantile"].is_monotonic_increasing
    # 7 effects: the middle one stands at the half-normal median, qnorm(0.75).
    assert found["half_normal_quantile"].median() == pytest.approx(0.6744897501960817)


def test_lenth_keeps_effects_below_two_and_a_half_times_the_first_guess() -> None:
    # First guess 1.5 * median = 1.5; 3.72 lies below 2.5 * 1.5 and stays in the second median.
    pse, me, sme, note = lenth(np.array([0.5, -1.0, 3.72]))
    assert (pse, note) == (1.5, "")
    assert me == pytest.approx(1.5 * 12.7062047362, rel=1e-9) and sme > me  # qt(0.975, 1)
    assert lenth(np.array([0.5, -1.0, 3.76]))[0] == pytest.approx(1.5 * 0.75)
    assert np.isnan(lenth(np.array([0.5, 1.0]))[0]) and np.isnan(lenth(np.zeros(4))[0])


def test_a_broken_fraction_is_refused_rather_than_averaged() -> None:
    signs = list(itertools.product([-1, 1], repeat=3))[:-1]
    design = pd.DataFrame(signs, columns=["A", "B", "C"]).assign(y=range(7))
    with pytest.raises(AnalysisError, match="not an orthogonal"):
        effects_two_level(design, "y", ["A", "B", "C"])


def broken(change: Callable[[pd.DataFrame], object]) -> pd.DataFrame:
    trials = table()
    trials["top1"] = trials["top1"].astype(object)
    result = change(trials)
    return result if isinstance(result, pd.DataFrame) else trials


def put(value: object) -> Callable[[pd.DataFrame], None]:
    def change(trials: pd.DataFrame) -> None:
        trials.loc[2, "top1"] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: pd.concat([t, t.iloc[[4]]]), "repeats a trial: A x, B q, seed 1"),
        (put("abc"), "'top1' is 'abc' in row 2"),
        (put(float("inf")), "'top1' is inf in row 2"),
        (put(Decimal("-Infinity")), "'top1' is Decimal"),
        (put(1e300), "'top1' is 1e"),
        (put(True), "'top1' is True"),
        (lambda t: t.assign(status="never_started"), "No completed trial has a value"),
        (lambda t: t.assign(status="compleat"), "Did you mean 'completed'"),
        (lambda t: t.assign(A=None), "no level in 18 rows"),
        (lambda t: t.rename(columns={"top1": "top5"}), "no column 'top1'"),
    ],
)
@pytest.mark.parametrize(
    "analysis",
    [
        lambda t: blocked(t),
        lambda t: marginal_means(t, "top1", ["A", "B"], "A", block="seed"),
        lambda t: a_contrast(t),
        lambda t: interaction_contrast(t, "top1", "A", "B", block="seed"),
    ],
)
def test_bad_tables_are_refused_in_words(
    change: Callable[[pd.DataFrame], object], words: str, analysis: Callable[..., object]
) -> None:
    with pytest.raises(AnalysisError, match=words):
        analysis(broken(change))


def test_a_constant_response_is_said_and_not_tested() -> None:
    trials = table().assign(top1=0.1)
    found = blocked(trials)
    assert (found["sum_sq"] == 0).all() and found[NUMBERS].isna().all(axis=None)
    assert "the same in every completed trial" in a_contrast(trials)["note"]


def test_seeds_that_agree_exactly_give_no_infinite_t() -> None:
    trials = table(noise=0.0)
    found = blocked(trials)
    assert found.loc["A", "sum_sq"] > 0 and found["F"].isna().all()
    assert np.isnan(a_contrast(trials)["t"]) and "no error to test" in a_contrast(trials)["note"]


def test_a_factor_with_one_level_is_named() -> None:
    trials = table()
    trials = trials[trials["A"] == "x"]
    found = blocked(trials)
    assert "'A' has one level, x" in found.loc["A", "note"]
    assert np.isnan(found.loc["A", "sum_sq"]) and found.loc["B", "p"] > 0
    with pytest.raises(AnalysisError, match="one level"):
        a_contrast(trials)


def test_wrong_arguments_name_the_nearest_right_one() -> None:
    trials = table()
    with pytest.raises(AnalysisError, match="Did you mean 'status'"):
        anova(trials, "top1", ["A", "statsu"])
    with pytest.raises(AnalysisError, match="no level 'pp'"):
        contrasts(trials, "top1", ["B"], of="B", baseline="pp")
    with pytest.raises(AnalysisError, match="typ is 4"):
        anova(trials, "top1", ["A"], typ=4)
    with pytest.raises(AnalysisError, match="two parts"):
        anova(trials, "top1", ["A", "A"])
