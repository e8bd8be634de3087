"""Effects by test set. Oracle: statsmodels' OLS of the long table with a column for each trial, and
Greenhouse and Geisser's epsilon by its definition from the covariance of the raw columns."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from tests.analyze.conftest import Study

from seedbed.analyze import AnalysisError, anova, effects_by_test, trials_table, write_report
from seedbed.evaluate.means import OVER_TESTS, means_over
from seedbed.evaluate.named import metrics_named

CHANCE = {"a/acc1": 0.1, "b/acc1": 0.5, "c/acc1": 0.001}


def trials(num_seeds: int = 4, planted: float = 0.0) -> pd.DataFrame:
    random = np.random.default_rng(5)
    rows = itertools.product((3, 12), ("clip", "declip"), range(num_seeds))
    table = pd.DataFrame(rows, columns=["depth", "terms", "seed"]).assign(status="completed")
    own = random.normal(0, 0.05, len(table))  # which is no effect: it is the same on all
    for place, (name, chance) in enumerate(CHANCE.items()):
        above = 0.3 + own + random.normal(0, 0.01 * (1 + place), len(table))
        table[name] = chance + (1 - chance) * above
    table["a/acc1"] += planted * (table["depth"] == 12)
    return table


def long_table(table: pd.DataFrame) -> pd.DataFrame:
    above = table.assign(**{n: (table[n] - c) / (1 - c) for n, c in CHANCE.items()})
    above["trial"] = range(len(above))
    names = ["trial", "depth", "terms", "seed"]
    return above.melt(names, list(CHANCE), var_name="test", value_name="score")


@pytest.mark.filterwarnings("ignore:The design matrix")  # a column for each trial, and more
def test_sums_of_squares_are_those_of_trials_as_blocks() -> None:
    table = trials()
    found = effects_by_test(table, CHANCE, ["depth", "terms"], block="seed")
    parts = ["C(trial) + C(test) + C(test):C(seed)", "C(test):C(depth)", "C(test):C(terms)"]
    parts.append("C(test):C(depth):C(terms)")
    fits = [
        smf.ols("score ~ " + " + ".join(parts[: n + 1]), long_table(table)).fit() for n in range(4)
    ]
    for place, term in enumerate(("depth", "terms", "depth:terms"), start=1):
        sum_sq = fits[place - 1].ssr - fits[place].ssr
        df = fits[place].df_model - fits[place - 1].df_model
        assert found.loc[term, "sum_sq"] == pytest.approx(sum_sq, rel=1e-7)
        ratio = sum_sq / df / (fits[-1].ssr / fits[-1].df_resid)
        assert found.loc[term, "F"] == pytest.approx(ratio, rel=1e-7)
        epsilon = found.loc[term, "epsilon"]
        assert found.loc[term, "df"] == pytest.approx(epsilon * df)
        assert found.loc[term, "df_error"] == pytest.approx(epsilon * fits[-1].df_resid)


def test_epsilon_is_that_of_the_residuals_covariance() -> None:
    table = trials(6)
    above = table.assign(**{n: (table[n] - c) / (1 - c) for n, c in CHANCE.items()})
    plain = {name: name.partition("/")[0] for name in CHANCE}
    models = [
        smf.ols(f"{short} ~ C(depth) * C(terms) + C(seed)", above.rename(columns=plain)).fit()
        for short in plain.values()
    ]
    cov = np.cov(np.stack([model.resid for model in models]), bias=True)
    k = len(cov)
    top = (k * (np.trace(cov) / k - cov.mean())) ** 2
    rows = cov.mean(axis=1)
    below = (k - 1) * ((cov**2).sum() - 2 * k * (rows**2).sum() + k**2 * cov.mean() ** 2)
    found = effects_by_test(table, CHANCE, ["depth", "terms"], block="seed")
    assert found["epsilon"].to_numpy() == pytest.approx(top / below)
    assert 0.5 < top / below < 1


def test_an_effect_on_one_test_set_is_seen_and_one_on_all_is_not() -> None:
    alike = trials()
    for name, chance in CHANCE.items():
        alike[name] += 0.2 * (1 - chance) * (alike["depth"] == 12)
    found = effects_by_test(alike, CHANCE, ["depth", "terms"], block="seed")
    assert found.loc["depth", "p"] == pytest.approx(
        effects_by_test(trials(), CHANCE, ["depth", "terms"], block="seed").loc["depth", "p"]
    )
    seen = effects_by_test(trials(planted=0.2), CHANCE, ["depth", "terms"], block="seed")
    assert seen.loc["depth", "p"] < 1e-4 < seen.loc["terms", "p"]


def test_what_is_no_chance_level_or_one_test_set_is_refused() -> None:
    with pytest.raises(AnalysisError, match="chance level of a/acc1 is 1"):
        effects_by_test(trials(), {**CHANCE, "a/acc1": 1.0}, ["depth"])
    with pytest.raises(AnalysisError, match="two test sets"):
        effects_by_test(trials(), {"a/acc1": 0.1}, ["depth"])


def test_means_are_datacomps_and_above_chance() -> None:
    metrics = {"a/acc1": 0.55, "a/num_names": 10.0, "b/acc1": 0.5, "b/num_names": 2.0}
    found = means_over(metrics, ["a", "b"])
    assert found["tasks/mean_acc1"] == pytest.approx(0.525)
    assert found["tasks/mean_above_chance"] == pytest.approx((0.5 + 0.0) / 2)
    assert found["tasks/num_tests"] == 2
    assert means_over(metrics, ["a"]) == {} and means_over({}, ["a", "b"]) == {}


@pytest.fixture
def two_by_two(study: Callable[..., Study]) -> Study:
    factors = {"depth": ("3", "12"), "terms": ("clip", "declip")}
    made: Study = study(factors, {"depth": "3", "terms": "clip"}, lambda cell: 0.0)
    return made


def scored(study: Study) -> Study:
    """The study with two test sets of its own."""
    design, records = study
    random = np.random.default_rng(0)
    tests = ("hues", "tones")
    own = (metric for name in tests for metric in metrics_named(name))
    metrics = (*design.metrics, *own, *OVER_TESTS)
    made = []
    for record in records:
        values = dict(record.metrics)
        for name, classes in zip(tests, (4, 10), strict=True):
            values |= {f"{name}/acc1": 0.5 + float(random.normal(0, 0.02))}
            values |= {f"{name}/num_names": float(classes)}
        made.append(replace(record, metrics=values | means_over(values, tests)))
    names = tuple(f"{name}/acc1" for name in tests)
    responses = (*names, "tasks/mean_acc1", "tasks/mean_above_chance")
    return replace(design, metrics=metrics, responses=responses), made


@pytest.mark.slow
def test_the_report_says_what_test_sets_differ_by(two_by_two: Study, tmp_path: Path) -> None:
    design, records = scored(two_by_two)
    report = write_report(design, trials_table(design, records), tmp_path, {})
    page = report.paths["report.md"].read_text()
    section = page.partition("## Several test sets")[2].partition("\n## ")[0]
    assert "hues top-1" in section and "25.00" in section and "10.00" in section
    assert "× test set" in section and "Greenhouse" in section
    assert "Mean top-1 above chance" in page
    assert report.paths["test_sets.csv"].read_text().startswith("term,")


def test_where_the_anova_gives_no_p_neither_is_one_given_here() -> None:
    table = trials(2)
    plain = anova(table, "a/acc1", ["depth", "terms"], block="seed")
    found = effects_by_test(table, CHANCE, ["depth", "terms"], block="seed")
    assert plain["p"].isna().all() and found["p"].isna().all()
    assert (found["note"] == plain.loc["Residual", "note"]).all() and found["note"].iloc[0]


def test_a_mean_over_fewer_test_sets_is_missing(two_by_two: Study) -> None:
    design, records = scored(two_by_two)
    records[0] = replace(records[0], metrics={**records[0].metrics, "tasks/num_tests": 1.0})
    table = trials_table(design, records).set_index("key")
    assert np.isnan(table.loc[records[0].key, "tasks/mean_acc1"])
    assert table["tasks/mean_acc1"].notna().sum() == len(records) - 1
