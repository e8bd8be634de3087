"""Two studies side by side. Oracle: Welch's t test of scipy on the paired differences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from seedbed.analyze.findings.compare import compare
from seedbed.analyze.trials.observations import AnalysisError
from seedbed.plan.design import Design


def study(name: str, seeds: int, effect: float, **changes: Any) -> tuple[Design, pd.DataFrame]:
    rng = np.random.default_rng(len(name) * 100 + seeds)
    lines = [
        {"depth": depth, "seed": seed, "y": 0.4 + effect * (depth == "3") + rng.normal(0, 0.02)}
        for seed in range(seeds)
        for depth in ("12", "3")
    ]
    design = {
        "study": name,
        "responses": ["y"],
        "factors": {"depth": {"levels": ["12", "3"], "baseline": "12"}},
    }
    return Design.from_json(design | changes), pd.DataFrame(lines)


def paired(table: pd.DataFrame) -> np.ndarray:
    wide = table.pivot_table(index="seed", columns="depth", values="y")
    return (wide["3"] - wide["12"]).to_numpy()


def test_the_difference_of_two_effects_is_welchs() -> None:
    first, second = study("one", 4, 0.01), study("two", 7, 0.05)
    (row,) = compare(first, second).to_dict("records")
    ours, theirs = paired(first[1]), paired(second[1])
    expected = stats.ttest_ind(theirs, ours, equal_var=False)
    interval = expected.confidence_interval()
    assert row["first"] == pytest.approx(ours.mean())
    assert row["second"] == pytest.approx(theirs.mean())
    assert row["difference"] == pytest.approx(theirs.mean() - ours.mean())
    assert row["p"] == pytest.approx(expected.pvalue)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((interval.low, interval.high))


def test_one_seed_gives_no_interval_and_says_so() -> None:
    (row,) = compare(study("one", 1, 0.01), study("two", 5, 0.05)).to_dict("records")
    assert np.isfinite(row["difference"])
    assert np.isnan(row["ci_low"]) and np.isnan(row["p"])
    assert row["note"]


def test_studies_that_share_nothing_are_told_what_they_have() -> None:
    other, table = study("two", 3, 0.0)
    width = {"width": other.factors["depth"]}
    renamed = (replace(other, factors=width), table.rename(columns={"depth": "width"}))
    with pytest.raises(AnalysisError, match=r"share no factor"):
        compare(study("one", 3, 0.0), renamed)
    with pytest.raises(AnalysisError, match=r"Study 'one' has no response 'z'"):
        compare(study("one", 3, 0.0), study("two", 3, 0.0), "z")


def test_another_baseline_is_named_and_not_compared() -> None:
    other, table = study("two", 3, 0.0)
    depth = replace(other.factors["depth"], baseline="3")
    turned = replace(other, factors={"depth": depth})
    (row,) = compare(study("one", 3, 0.0), (turned, table)).to_dict("records")
    assert "baselines differ" in row["note"] and np.isnan(row["difference"])
