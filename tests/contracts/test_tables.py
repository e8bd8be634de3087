"""Every public verb of `seedbed.analyze` that estimates shares its columns' names.

Oracles: the names of R's broom, with `_` for its `.`; what they mean to each other is Student's t,
by scipy.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from seedbed import analyze

NAMES = ["estimate", "std_error", "df", "statistic", "p_value", "conf_low", "conf_high"]
FACTORS = ["depth", "terms"]
COMMON: dict[str, Any] = {"response": "top1", "factors": FACTORS, "block": "seed"}

# A call of each verb, and the columns of its own that the shared ones repeat.
CALLS: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], dict[str, str]]] = {
    "anova": (lambda t: analyze.anova(t, **COMMON), {"statistic": "F", "p_value": "p"}),
    "contrasts": (
        lambda t: analyze.contrasts(t, **COMMON, of="depth", baseline=3),
        {"estimate": "difference", "std_error": "se", "statistic": "t", "p_value": "p",
         "conf_low": "ci_low", "conf_high": "ci_high"},
    ),
    "diagnose": (lambda t: analyze.diagnose(t, **COMMON).checks, {"p_value": "p"}),
    "effects_by_test": (
        lambda t: analyze.effects_by_test(t, {"top1": 0.1, "top5": 0.5}, FACTORS, block="seed"),
        {"statistic": "F", "p_value": "p"},
    ),
    "effects_two_level": (
        lambda t: analyze.effects_two_level(t, **COMMON),
        {"estimate": "effect", "std_error": "se", "conf_low": "ci_low", "p_value": "p"},
    ),
    "interaction_contrast": (
        lambda t: analyze.interaction_contrast(t, "top1", *FACTORS, block="seed"),
        {"estimate": "difference", "std_error": "se", "statistic": "t", "p_value": "p"},
    ),
    "marginal_means": (
        lambda t: analyze.marginal_means(t, **COMMON, at="depth"),
        {"estimate": "mean", "std_error": "se", "conf_low": "ci_low", "conf_high": "ci_high"},
    ),
    "pareto_membership": (
        lambda t: analyze.pareto_membership(t, FACTORS, maximise=["top1"], minimise=["hours"]),
        {"estimate": "probability"},
    ),
    "per_device_hour": (
        lambda t: analyze.per_device_hour(t, "top1", "hours", FACTORS),
        {"estimate": "ratio", "conf_low": "ci_low", "conf_high": "ci_high"},
    ),
    "rank_levels": (
        lambda t: analyze.rank_levels(t, ["top1", "top5"], of="depth").ranks,
        {"estimate": "mean_rank"},
    ),
    "two_errors": (
        lambda t: analyze.two_errors(t, correct(len(t)), FACTORS, of="depth", baseline=3),
        {"estimate": "difference", "std_error": "seed_se", "df": "seed_df",
         "conf_low": "seed_ci_low", "conf_high": "seed_ci_high"},
    ),
    "variance_components": (
        lambda t: analyze.variance_components(t, "top1", FACTORS),
        {"estimate": "variance", "conf_low": "ci_low", "conf_high": "ci_high"},
    ),
}  # fmt: skip
# What gives no table of estimates: values by row, the trials themselves, a report.
OTHERS = {"adjust", "pareto", "study_of", "trials_table", "write_report"}
OF_STUDENT = {"contrasts", "effects_two_level", "interaction_contrast", "marginal_means",
              "two_errors"}  # fmt: skip
EACH = pytest.mark.parametrize("name", sorted(CALLS))


def trials(num_seeds: int = 3) -> pd.DataFrame:
    random = np.random.default_rng(3)
    rows = itertools.product((3, 12), ("clip", "declip"), range(num_seeds))
    table = pd.DataFrame(rows, columns=[*FACTORS, "seed"])
    table["top1"] = 0.3 + 0.01 * (table["depth"] == 12) + random.normal(0, 0.01, len(table))
    table["top5"] = table["top1"] + 0.2 + random.normal(0, 0.01, len(table))
    table["hours"] = 1.0 + 0.1 * table["depth"] + random.normal(0, 0.01, len(table))
    return table


def correct(num_trials: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.random.default_rng(4).uniform(size=(num_trials, 400)) < 0.4


def test_every_public_verb_is_tried_or_gives_no_estimates() -> None:
    verbs = {name for name in analyze.__all__ if inspect.isfunction(getattr(analyze, name))}
    assert verbs == CALLS.keys() | OTHERS


@EACH
def test_a_table_has_the_shared_columns_once_each_as_numbers(name: str) -> None:
    table = CALLS[name][0](trials())
    assert table.columns.is_unique
    assert set(NAMES) <= set(table.columns)
    numbers = [column for column in NAMES if (name, column) != ("diagnose", "df")]
    assert all(pd.api.types.is_numeric_dtype(table[column]) for column in numbers)


@EACH
def test_what_a_verb_calls_otherwise_stands_under_both_names(name: str) -> None:
    call, own = CALLS[name]
    table = call(trials())
    for shared, column in own.items():
        assert table[shared].notna().any(), shared
        pd.testing.assert_series_equal(table[shared], table[column], check_names=False)


@pytest.mark.parametrize("name", sorted(OF_STUDENT))
def test_the_shared_columns_mean_to_each_other_what_student_says(name: str) -> None:
    table = CALLS[name][0](trials())
    assert len(table) and table[NAMES].notna().all(axis=None)
    df = table["df"].astype(float)
    half = stats.t.ppf(0.975, df) * table["std_error"]
    p = 2 * stats.t.sf((table["estimate"] / table["std_error"]).abs(), df)
    assert table["statistic"].to_numpy() == pytest.approx(table["estimate"] / table["std_error"])
    assert table["p_value"].to_numpy() == pytest.approx(p)
    assert table["conf_low"].to_numpy() == pytest.approx(table["estimate"] - half)
    assert table["conf_high"].to_numpy() == pytest.approx(table["estimate"] + half)


@pytest.mark.parametrize("name", sorted(CALLS.keys() - {"two_errors", "rank_levels"}))
def test_with_one_seed_no_table_has_an_interval_or_a_p(name: str) -> None:
    table = CALLS[name][0](trials(num_seeds=1))
    assert set(NAMES) <= set(table.columns)
    assert table[["std_error", "p_value", "conf_low", "conf_high"]].isna().all(axis=None)
