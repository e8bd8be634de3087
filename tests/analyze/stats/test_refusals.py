"""What no analysis may say: the wrong answers of common tools, and numbers from bad tables.

Oracles: `must_not_equal` in oracles.json, with statsmodels giving each wrong answer in this run;
tables made to break every function in turn.
"""

from __future__ import annotations

import itertools
import json
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from statsmodels.stats.anova import anova_lm

from seedbed.analyze import (
    AnalysisError,
    anova,
    contrasts,
    interaction_contrast,
    marginal_means,
)
from seedbed.analyze.stats.components import variance_components
from seedbed.analyze.stats.diagnostics import diagnose
from seedbed.analyze.stats.examples import two_errors
from seedbed.analyze.stats.pareto import pareto_membership, per_device_hour
from seedbed.analyze.stats.ranks import rank_levels

ORACLES = json.loads((Path(__file__).parent / "oracles.json").read_text())["oracles"]


def data(name: str) -> pd.DataFrame:
    found = ORACLES[name]["data"]
    if "derive_from" in found:
        whole, drop = data(found["derive_from"]), found["drop_where"]
        return whole[~np.logical_and.reduce([whole[c] == v for c, v in drop.items()])]
    return pd.DataFrame(found["rows"], columns=found["columns"])


def wrong_anova(formula: str, trials: pd.DataFrame, typ: int) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return anova_lm(smf.ols(formula, trials).fit(), typ=typ)


def test_every_oracle_is_here_with_its_wrong_answers() -> None:
    assert len(ORACLES) == 15
    wrong = {name for name, oracle in ORACLES.items() if "must_not_equal" in oracle}
    assert wrong == {
        "R_npk", "R_warpbreaks", "carData_Moore", "ToothGrowth_empty_cell", "nlme_ergoStool",
    }  # fmt: skip


def test_an_aliased_term_gets_no_sum_of_squares_and_moves_no_other() -> None:
    trials = data("R_npk").rename(columns={"yield": "y"})
    said = ORACLES["R_npk"]["must_not_equal"]
    formula = "y ~ C(block) + C(N) * C(P) * C(K)"
    first, second = (wrong_anova(formula, trials, typ) for typ in (1, 2))
    assert "3.260536" in said["typ1_extra_row"] and "201.825" in said["typ2"]
    # Their wrong numbers are what rounding leaves of a zero, another on every processor.
    assert first.loc["C(N):C(P):C(K)", "sum_sq"] > 1e-3
    assert abs(second.loc["C(N)", "sum_sq"] / 189.281666667 - 1) > 0.01
    for typ in (1, 2):
        found = anova(trials, "y", ["N", "P", "K"], block="block", order=3, typ=typ)
        assert math.isnan(found.loc["N:P:K", "sum_sq"]) and found.loc["N:P:K", "df"] == 0
        assert found.loc["N", "sum_sq"] == pytest.approx(189.281666667)
        assert found.loc["P:K", "sum_sq"] == pytest.approx(0.481666667)


def test_type_three_is_not_that_of_default_coding() -> None:
    trials = data("carData_Moore")
    wrong = wrong_anova("conformity ~ C(fcategory) * C(partner_status)", trials, 3)
    assert wrong.loc["C(partner_status)", "sum_sq"] == pytest.approx(2.2012, rel=1e-3)
    found = anova(trials, "conformity", ["fcategory", "partner_status"], typ=3)
    assert found.loc["partner_status", "sum_sq"] == pytest.approx(239.562369793)
    assert found.loc["partner_status", "p"] == pytest.approx(0.0016571126801)


def test_an_empty_cell_does_not_change_what_the_others_say() -> None:
    trials = data("ToothGrowth_empty_cell")
    wrong = wrong_anova("len ~ C(supp) * C(dose)", trials, 2)
    found = anova(trials, "len", ["supp", "dose"])
    for term, name in (
        ("supp", "C(supp)"), ("dose", "C(dose)"), ("supp:dose", "C(supp):C(dose)"),
    ):  # fmt: skip
        # How wrong theirs is depends on the processor's rounding: 353.6 and 176.8 were seen.
        assert abs(found.loc[term, "sum_sq"] / wrong.loc[name, "sum_sq"] - 1) > 0.5
    assert found.loc["supp", "sum_sq"] == pytest.approx(312.481)
    assert found.loc["dose", "sum_sq"] == pytest.approx(2096.737166667)
    assert found.loc["supp:dose", "sum_sq"] == pytest.approx(1.156)
    assert found.loc["supp", "p"] == pytest.approx(2.86486519821e-05)


def test_intervals_are_t_and_not_normal() -> None:
    trials = data("nlme_ergoStool")
    wrong = smf.mixedlm("effort ~ C(Type)", trials, groups="Subject").fit(reml=True).conf_int()
    assert list(wrong.loc["C(Type)[T.T4]"]) == pytest.approx([-0.350, 1.683], abs=2e-3)
    found = contrasts(trials, "effort", ["Type"], of="Type", baseline="T1", block="Subject")
    assert list(found.iloc[2][["ci_low", "ci_high"]]) == pytest.approx([-0.404, 1.737], abs=1e-3)


def table() -> pd.DataFrame:
    random = np.random.default_rng(3)
    rows = list(itertools.product("xy", "pqr", range(4)))
    trials = pd.DataFrame(rows, columns=["A", "B", "seed"]).assign(status="completed")
    trials["y"] = 0.4 + 0.1 * (trials["A"] == "y") + random.normal(0, 0.02, len(trials))
    return trials.assign(hours=random.uniform(1, 2, len(trials)), z=1.0 - trials["y"])


def errors_over_examples(t: pd.DataFrame) -> pd.DataFrame:
    correct = np.random.default_rng(0).random((len(t), 50)) < 0.5
    return two_errors(t, correct, ["A", "B"], of="A", baseline="x", block="seed")


OF: dict[str, Any] = {"of": "A", "baseline": "x", "block": "seed"}
AB = ["A", "B"]
# What reads the response "y" of a table.
ANALYSES: dict[str, Callable[[pd.DataFrame], object]] = {
    "anova": lambda t: anova(t, "y", AB, block="seed"),
    "means": lambda t: marginal_means(t, "y", AB, "A", block="seed"),
    "contrasts": lambda t: contrasts(t, "y", AB, **OF),
    "unequal": lambda t: contrasts(t, "y", AB, error="unequal", **OF),
    "interaction": lambda t: interaction_contrast(t, "y", "A", "B", block="seed"),
    "diagnose": lambda t: diagnose(t, "y", AB, block="seed").checks,
    "components": lambda t: variance_components(t, "y", AB),
    "per_hour": lambda t: per_device_hour(t, "y", "hours", AB),
    "pareto": lambda t: pareto_membership(t, AB, maximise=["y"], minimise=["hours"]),
}
# Columns that say how sure a thing is: none of them may be a number where nothing is sure.
SURE = ["p", "p_adjusted", "ci_low", "ci_high", "se", "F", "seed_se", "probability", "p_lower"]


@pytest.mark.parametrize("name", list(ANALYSES))
@pytest.mark.parametrize(
    "change",
    [
        lambda t: pd.concat([t, t.iloc[[4]]]),
        lambda t: t.assign(y=t["y"].astype(object).where(t.index != 2, "abc")),
        lambda t: t.assign(y=t["y"].where(t.index != 2, math.inf)),
        lambda t: t.assign(status="failed"),
        lambda t: t.assign(A=None),
        lambda t: t.drop(columns="y"),
    ],
    ids=["duplicate", "text", "infinite", "none completed", "no level", "no column"],
)
def test_bad_tables_are_refused_in_words_by_every_analysis(
    name: str, change: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    with pytest.raises(AnalysisError):
        ANALYSES[name](change(table()))


@pytest.mark.parametrize("name", [n for n in ANALYSES if n != "per_hour"])
def test_one_seed_is_sure_of_nothing(name: str) -> None:
    once = table().query("seed == 0")
    found = ANALYSES[name](once)
    assert isinstance(found, pd.DataFrame)
    shown = [column for column in SURE if column in found.columns]
    assert shown and found[shown].isna().all(axis=None)
    assert found["note"].str.contains("seed").any()


@pytest.mark.parametrize("name", list(ANALYSES))
@pytest.mark.parametrize("what", ["constant", "one level", "a cell", "a level"])
def test_thin_tables_give_words_and_never_an_infinite_number(name: str, what: str) -> None:
    trials = table()
    if what == "constant":
        trials["y"] = 0.5
    elif what == "one level":
        trials = trials[trials["A"] == "x"]
    elif what == "a cell":
        trials.loc[(trials["A"] == "y") & (trials["B"] == "q"), "status"] = "diverged"
    else:
        trials.loc[trials["A"] == "y", "status"] = "failed"
    try:
        found = ANALYSES[name](trials)
    except AnalysisError:
        return
    assert isinstance(found, pd.DataFrame)
    numbers = found.select_dtypes("number").to_numpy(dtype=float)
    assert not np.isinf(numbers).any()
    if what == "a level" and name in ("anova", "diagnose"):
        return  # what is left of B can be tested
    if what in ("constant", "a level") and "p" in found.columns:
        assert found["p"].isna().all()


@pytest.mark.slow
def test_the_same_table_gives_the_same_bytes() -> None:
    for name, analysis in ANALYSES.items():
        first, second = (analysis(table()) for _ in range(2))
        assert isinstance(first, pd.DataFrame) and isinstance(second, pd.DataFrame)
        assert first.to_csv() == second.to_csv(), name
    assert errors_over_examples(table()).to_csv() == errors_over_examples(table()).to_csv()
    first, second = (rank_levels(table(), ["y", "z"], of="B").ranks for _ in range(2))
    assert first.to_csv() == second.to_csv()
